"""The history-service at ten thousand and at ten million messages."""
