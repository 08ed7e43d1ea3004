"""Decisions: one class per subject. Plain reads and writes go from the routes to `storage`."""
