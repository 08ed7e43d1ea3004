"""The agent's tools: MCP connections that runs share, and the ledger by which a call acts once."""
