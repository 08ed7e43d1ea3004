"""Alembic's migrations of schema `tasks`."""
