"""The relay: forwards a run's events from Redis to its readers as the bytes that the worker wrote."""
