"""The connections of callers: what they may take, and how long."""
