"""Alembic's environment: the connection and its transaction come from `service_kit.migrations`."""

from service_kit.migrations import run_in_environment

run_in_environment()
