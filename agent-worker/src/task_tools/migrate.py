"""`python -m task_tools.migrate`: bring schema `tasks` to the newest version. Safe in parallel and again."""

import asyncio

import structlog

from service_kit.database_settings import DatabaseSettings
from service_kit.logging import configure_logging
from service_kit.migrations import upgrade

SCHEMA = "tasks"
SCRIPT_LOCATION = "task_tools:migrations"

log = structlog.get_logger(__name__)


async def migrate(settings: DatabaseSettings) -> None:
    """Upgrade the database of `settings`."""
    await upgrade(settings, schema=SCHEMA, script_location=SCRIPT_LOCATION)
    log.info("schema_migrated", schema=SCHEMA)


def main() -> None:
    """Read the settings from the environment and migrate."""
    settings = DatabaseSettings()  # pyright: ignore[reportCallIssue] - its fields come from the environment
    configure_logging("task-tools", settings.log_format, settings.log_level)
    asyncio.run(migrate(settings))


if __name__ == "__main__":
    main()
