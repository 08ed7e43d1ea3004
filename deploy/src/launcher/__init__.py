"""Runs the whole product on one machine: embedded databases, migrations and every service."""
