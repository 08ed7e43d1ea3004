"""What a token and a message cost, beside one process written from ChatKit's documentation."""
