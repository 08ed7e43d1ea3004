"""A look into a database, past the service and row-level security."""

import json
from typing import Any

from launcher.sql import connected


async def rows_of(url: str, query: str, *arguments: object) -> list[dict[str, Any]]:
    """Return the rows of a query as JSON has them."""
    async with connected(url) as connection:
        everything = f"SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found"  # noqa: S608
        return json.loads(str(await connection.fetchval(everything, *arguments)))
