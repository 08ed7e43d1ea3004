"""The chat-service: speaks the ChatKit protocol, starts runs and relays their events. Stores nothing itself."""
