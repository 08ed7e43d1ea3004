"""What task-tools holds while it runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.database import create_engine
from task_tools.settings import Settings


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncGenerator[AsyncEngine]:
    """Open the database; connections are made when needed and closed at the end."""
    engine = create_engine(settings)
    try:
        yield engine
    finally:
        await engine.dispose()
