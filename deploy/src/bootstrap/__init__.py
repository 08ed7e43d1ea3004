"""Brings a fresh machine to the point where the launcher can run: standard library only, outside the environment."""
