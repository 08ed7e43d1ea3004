"""Runtime code that every Threadkeep service needs, one module per concern."""
