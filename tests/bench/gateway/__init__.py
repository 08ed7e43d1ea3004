"""What the gateway costs, beside itself on plain httpx and beside nginx."""
