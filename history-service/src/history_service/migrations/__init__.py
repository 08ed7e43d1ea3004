"""Alembic migrations of schema `history`; run by `history_service.migrate`."""
