"""Owns conversations, messages and runs in Postgres, and closes them between users in the database itself."""
