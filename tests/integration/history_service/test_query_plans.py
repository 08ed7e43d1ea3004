"""The hot statements find their rows by index, however large the tables are."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from contracts.conversations import ItemPut
from contracts.pages import MAX_PAGE_LIMIT
from contracts.runs import MAX_CLAIMS
from history_service.domain import expired_error, item_of, max_attempts_error
from history_service.services.endings import MAX_ENDED
from history_service.settings import Settings
from history_service.storage.leases import LeaseStore
from history_service.storage.roles import DISPATCH_ROLE, USER_ROLE
from history_service.storage.user import UserTransaction
from launcher.sql import connected
from service_kit.database import Database, open_database
from tests.support.history import user_message
from tests.support.plans import Plan, explain_search_function, explaining
from tests.support.postgres import PostgresServer

PAGE = 20
CANDIDATES = 1000

_FILL = """
    INSERT INTO history.conversations (id, user_id, title, status, metadata, last_position, created_at, updated_at)
    SELECT 'thr_' || c, 'user-' || c % 20, 'Matter ' || c, '{}', '{}', 4000, now(), now() - c * interval '1 minute'
    FROM generate_series(0, 1999) AS c;
    INSERT INTO history.messages (conversation_id, id, user_id, position, turn, role, kind, content, tool_calls,
        payload, hidden, created_at)
    SELECT 'thr_' || c, 'msg_' || p, 'user-' || c % 20, p, p - p % 2 + 1, 'user', 'user_message',
        'common words of number ' || c * p || CASE WHEN p = 7 THEN ' needle' ELSE '' END, '[]',
        json_build_object('id', 'msg_' || p, 'text', repeat('x', 200)), false, now() - c * interval '1 minute'
    FROM generate_series(0, 1999) AS c, generate_series(1, CASE c WHEN 3 THEN 4000 ELSE 8 END) AS p;
    INSERT INTO history.runs (id, conversation_id, user_id, message_position, status, finished_at)
    SELECT 'run_' || c || '_' || p, 'thr_' || c, 'user-' || c % 20, p, 'completed', now()
    FROM generate_series(0, 1999) AS c, generate_series(1, CASE c WHEN 0 THEN 500 ELSE 2 END) AS p;
    INSERT INTO history.runs (id, conversation_id, user_id, message_position)
    SELECT 'run_' || c, 'thr_' || c, 'user-' || c % 20, 8 FROM generate_series(0, 999) AS c;
"""


@pytest.fixture
async def admin_url(postgres: PostgresServer, database_url: str) -> str:
    """A database with twenty thousand messages, for the superuser."""
    url = postgres.superuser(database_url)
    async with connected(url, timeout_seconds=60) as connection:
        await connection.execute(_FILL)
        await connection.execute("VACUUM ANALYZE")
    return url


@pytest.fixture
async def database(settings: Settings, admin_url: str) -> AsyncGenerator[Database]:
    async with open_database(settings) as database:
        yield database


async def user_plans(database: Database) -> dict[str, list[Plan]]:
    """Do what users do most; returns the plans of each act."""
    plans: dict[str, list[Plan]] = {}
    async with explaining(database, USER_ROLE, "user-3") as explained:
        history = UserTransaction(explained.transaction, "user-3")
        message = user_message("thr_3", "one more")

        async def note(act: str, awaited: object) -> None:
            plans[act] = list(explained.plans)
            explained.plans.clear()

        page = await history.messages.list_items("thr_3", PAGE, None, "desc", hidden=False)
        await note("newest page", page)
        await note("next page", await history.messages.list_items("thr_3", PAGE, page.after, "desc", hidden=False))
        await note("from an id", await history.messages.list_items("thr_3", PAGE, "msg_50", "asc", hidden=True))
        await note("messages", await history.messages.list_messages("thr_3", PAGE, None, "asc"))
        listed = await history.conversations.list(PAGE, None, "desc")
        await note("conversations", listed)
        await note("more conversations", await history.conversations.list(PAGE, listed.after, "desc"))
        await note("get", await history.conversations.get("thr_3"))
        await note("append", await history.messages.append("thr_3", item_of(ItemPut(payload=message), "thr_3")))
        await note("put", await history.messages.put("thr_3", item_of(ItemPut(payload=message), "thr_3")))
        found = await history.search.find("needle", 5, None, CANDIDATES)
        assert len(found.data) == 5
        await note("search", found)
        await note("more hits", await history.search.find("needle", 5, found.after, CANDIDATES))
    return plans


async def worker_plans(database: Database, most: int = 1) -> dict[str, list[Plan]]:
    async with explaining(database, DISPATCH_ROLE, None) as explained:
        leases = LeaseStore(explained.transaction)
        await leases.end_abandoned(3, max_attempts_error(3), MAX_ENDED)
        assert len(await leases.claim("worker", timedelta(seconds=15), 3, most)) == most
        claim = list(explained.plans)
        explained.plans.clear()
        assert await leases.end_expired(timedelta(hours=1), expired_error(), MAX_ENDED) == []
        return {"claim": claim, "end expired": explained.plans}


async def test_hot_statements_read_by_index_alone(database: Database) -> None:
    plans = await user_plans(database) | await worker_plans(database)
    for act, made in plans.items():
        assert [fault for plan in made for fault in plan.faults(sorted_rows=MAX_PAGE_LIMIT)] == [], act
    assert all(plan.indexes() for made in plans.values() for plan in made[:1])


@pytest.mark.parametrize("most", [1, MAX_CLAIMS])
async def test_a_claim_reads_the_head_of_a_long_queue_alone(database: Database, most: int) -> None:
    """The oldest run is in a conversation with many that have ended."""
    abandoned, claim = (await worker_plans(database, most))["claim"]
    for plan in (abandoned, claim):
        scans = [node for node in plan.nodes() if "Index Name" in node]
        read = [scan["Actual Loops"] * (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) for scan in scans]
        assert sum(read) < 20 * most, "\n".join(["of 1,000 queued runs:", *plan.lines()])


async def test_room_for_a_run_is_counted_by_index(admin_url: str) -> None:
    """Counted in the transaction itself: a function's plans are not shown."""
    scans = """
        SELECT ARRAY[seq_scan, idx_scan] FROM pg_stat_xact_user_tables
        WHERE schemaname = 'history' AND relname = 'runs'
    """
    async with connected(admin_url) as connection:
        await connection.execute(f"BEGIN; SET LOCAL ROLE {USER_ROLE}; SET LOCAL app.user_id = 'user-3'")
        assert await connection.fetchval("SELECT history.run_refusal(1001, 51)") is None
        assert await connection.fetchval(scans) == [0, 2]
        assert await connection.fetchval("SELECT history.run_refusal(1001, 50)") == "too_many_runs"
        assert await connection.fetchval("SELECT history.run_refusal(1000, 51)") == "run_queue_full"


async def test_search_finds_words_and_owner_in_one_index(admin_url: str) -> None:
    plan = await explain_search_function(admin_url, "user-3", "needle", CANDIDATES)
    assert plan.faults(sorted_rows=MAX_PAGE_LIMIT) == []
    assert plan.indexes() == ["messages_search"]
    (scan,) = [node for node in plan.nodes() if node["Node Type"] == "Bitmap Heap Scan"]
    assert scan["Actual Rows"] == 100, "this user's messages with the word, and no others, are read"
    assert scan.get("Rows Removed by Filter", 0) == 0
