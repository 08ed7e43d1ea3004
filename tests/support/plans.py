"""Query plans of what a store really executes: a transaction that explains each statement before it."""

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from launcher.sql import connected
from service_kit.database import Database, Transaction
from service_kit.statements import Statement

Node = dict[str, Any]

_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "


@dataclass(frozen=True)
class Plan:
    """How a statement was executed."""

    sql: str
    root: Node
    milliseconds: float

    def nodes(self) -> Iterator[Node]:
        """Yield all nodes."""
        pending = [self.root]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(node.get("Plans", ()))

    def faults(self, sorted_rows: int) -> list[str]:
        """Return where a table was read as a whole, or more than so many rows were sorted."""
        found = [f"Seq Scan on {node['Relation Name']}" for node in self.nodes() if node["Node Type"] == "Seq Scan"]
        for node in self.nodes():
            if node["Node Type"] in ("Sort", "Incremental Sort") and node["Plans"][0]["Actual Rows"] > sorted_rows:
                found.append(f"Sort of {node['Plans'][0]['Actual Rows']:.0f} rows by {', '.join(node['Sort Key'])}")
        return found

    def indexes(self) -> list[str]:
        """Return the indexes that were used."""
        return sorted({node["Index Name"] for node in self.nodes() if "Index Name" in node})

    def lines(self) -> Iterator[str]:
        """Yield the tree as text."""
        yield from _lines(self.root, 0)


@dataclass
class Explanations:
    """A transaction, and the plans of its statements so far."""

    transaction: Transaction
    plans: list[Plan] = field(default_factory=list[Plan])


@asynccontextmanager
async def explaining(database: Database, role: str, user_id: str | None) -> AsyncGenerator[Explanations]:
    """Open a transaction as `Database.transaction` does, and undo it at the end."""
    connection = cast(PoolConnectionProxy, await database.pool.acquire())  # pyright: ignore[reportUnknownMemberType]
    undone = connection.transaction()
    try:
        await undone.start()
        plans: list[Plan] = []
        transaction = _Explained(connection, plans)
        await transaction.assume(role, user_id)
        yield Explanations(transaction, plans)
    finally:
        await undone.rollback()
        await database.pool.release(connection)


STATEMENT_SECONDS = 60.0


class _Explained(Transaction):
    """Executes each statement twice: the first time to explain it, which is undone."""

    __slots__ = ("_plans",)

    def __init__(self, connection: Any, plans: list[Plan]) -> None:
        super().__init__(connection, STATEMENT_SECONDS)
        self._plans = plans

    async def rows(self, statement: Statement, /, **values: Any) -> list[asyncpg.Record]:
        """Explain, then return all rows."""
        await self._explain(statement, values)
        return await super().rows(statement, **values)

    async def row(self, statement: Statement, /, **values: Any) -> asyncpg.Record | None:
        """Explain, then return the first row, or None."""
        await self._explain(statement, values)
        return await super().row(statement, **values)

    async def value(self, statement: Statement, /, **values: Any) -> Any:
        """Explain, then return the first column of the first row, or None."""
        await self._explain(statement, values)
        return await super().value(statement, **values)

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        """Explain, then return how many rows the statement touched."""
        await self._explain(statement, values)
        return await super().execute(statement, **values)

    async def _explain(self, statement: Statement, values: Mapping[str, Any]) -> None:
        savepoint = self._connection.transaction()
        await savepoint.start()
        answer = await self._connection.fetchval(_EXPLAIN + statement.sql, *statement.arguments(values))
        await savepoint.rollback()
        self._plans.append(_plan(statement.sql, answer))


async def explain_search_function(superuser_url: str, user_id: str, words: str, candidates: int) -> Plan:
    """Explain what `history.search_messages` does inside, as the role that it runs as, with its generic plan."""
    async with connected(superuser_url) as connection:
        body = await connection.fetchval(
            "SELECT pg_get_function_sqlbody(CAST('history.search_messages(tsquery, integer)' AS regprocedure))"
        )
        sql = re.sub(r"^BEGIN ATOMIC|;\s*END$", "", str(body).strip())
        sql = sql.replace("search_messages.words", "$1").replace("search_messages.candidates", "$2")
        query = await connection.fetchval("SELECT quote_literal(CAST(history.search_query($1) AS text))", words)
        await connection.execute(f"PREPARE inside (tsquery, integer) AS {sql}")
        await connection.execute("SET plan_cache_mode = force_generic_plan; SET ROLE threadkeep_history_search")
        await connection.execute("SELECT set_config('app.user_id', $1, false)", user_id)
        answer = await connection.fetchval(f"{_EXPLAIN} EXECUTE inside ({query}, {candidates})")
        return _plan(sql, json.loads(str(answer)))


def _plan(sql: str, answer: Any) -> Plan:
    (top,) = cast(list[Node], answer)
    return Plan(sql, top["Plan"], top["Execution Time"])


def _lines(node: Node, depth: int) -> Iterator[str]:
    target = " ".join(str(node[name]) for name in ("Index Name", "Relation Name", "Function Name") if name in node)
    pages = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    kind = f"{'  ' * depth}{node['Node Type']} {target}".rstrip()
    yield f"{kind}  (rows {node['Actual Rows'] * node['Actual Loops']:.0f}, pages {pages})"
    for child in node.get("Plans", ()):
        yield from _lines(child, depth + 1)
