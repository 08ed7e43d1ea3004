"""Decisions about tasks and tool calls."""
