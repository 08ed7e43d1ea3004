"""Retention: idle conversations go, with all that is theirs and in bounded batches; nothing else does."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from asyncpg import CheckViolationError, InsufficientPrivilegeError
from prometheus_client import REGISTRY
from sqlalchemy import text

from contracts.conversations import ConversationCreate, ConversationPatch
from contracts.ids import new_id
from history_client import HistoryClient, HistoryNotFoundError, UserHistory, WorkerHistoryClient
from history_service.app import create_app
from history_service.errors import BlobsUnavailableError
from history_service.services.retention import Retention, retention_jobs
from history_service.settings import Settings
from history_service.storage import deletions
from history_service.storage.blobs import FolderBlobs, new_blob_key, open_blobs
from history_service.storage.roles import RETENTION_ROLE
from history_service.storage.user import UserAccess
from launcher.sql import connected
from service_kit.database import Database, open_database
from service_kit.service_client import open_service
from service_kit.statements import Statement
from service_kit.sweeper import Sweeper, SweepJob, Swept
from tests.integration.history_service.conftest import signer
from tests.support.attachments import attachment, files_in, upload
from tests.support.history import assistant_message, claim_one, conversation_put, finish, run_create
from tests.support.servers import eventually, serve
from tests.support.sql import rows_of

MONTH = timedelta(days=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "attachments"


@pytest.fixture
async def database(settings: Settings) -> AsyncGenerator[Database]:
    async with open_database(settings) as database:
        yield database


@pytest.fixture
def sweeper(settings: Settings, database: Database) -> Sweeper:
    """A sweeper with the service's jobs for 30 days, run by hand."""
    thirty = settings.model_copy(update={"retention_days": 30, "retention_batch_size": 2})
    return Sweeper(retention_jobs(thirty, database, open_blobs(settings)), interval_seconds=3600)


async def age(admin_database_url: str, by: timedelta, *ids: str) -> None:
    """Let conversations and attachments be older, by id."""
    async with connected(admin_database_url) as connection:
        for table, column in (("conversations", "updated_at"), ("attachments", "created_at")):
            statement = f"UPDATE history.{table} SET {column} = {column} - $1::interval WHERE id = ANY($2)"  # noqa: S608
            await connection.execute(statement, by, list(ids))


async def ids_of(user: UserHistory) -> set[str]:
    return {row.id for row in (await user.list_conversations(limit=100)).data}


async def test_idle_conversations_go_and_others_stay(
    alice: UserHistory, bob: UserHistory, sweeper: Sweeper, folder: Path, admin_database_url: str
) -> None:
    idle = [(await user.put_conversation(conversation_put())).id for user in (alice, bob) for _ in range(3)]
    fresh = [(await user.put_conversation(conversation_put())).id for user in (alice, bob)]
    for conversation_id in (idle[0], fresh[0]):
        answer = assistant_message(conversation_id)
        await alice.put_item(conversation_id, answer["id"], answer)
        await alice.put_feedback(conversation_id, [answer["id"]], "positive")
        await upload(alice, conversation_id.encode(), conversation_id)
    await age(admin_database_url, MONTH, *idle)
    await age(admin_database_url, MONTH - timedelta(hours=1), *fresh)

    await sweeper.sweep()

    assert (await ids_of(alice), await ids_of(bob)) == ({fresh[0]}, {fresh[1]})
    async with connected(admin_database_url) as connection:
        for table in ("messages", "feedback", "attachments"):
            assert await connection.fetchval(f"SELECT count(*) FROM history.{table}") == 1  # noqa: S608
    assert {path.read_bytes() for path in files_in(folder) if path.is_file()} == {fresh[0].encode()}


async def test_a_conversation_with_an_unfinished_run_stays(
    alice: UserHistory, worker: WorkerHistoryClient, sweeper: Sweeper, admin_database_url: str
) -> None:
    queued, active, ended = (new_id("thr") for _ in range(3))
    for conversation_id in (active, ended):
        await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    first, second = await claim_one(worker, "worker"), await claim_one(worker, "worker")
    assert first is not None
    assert second is not None
    assert (first.conversation.id, second.conversation.id) == (active, ended)
    await worker.finish_run(second.run.id, finish(1), token=second.token)
    await alice.create_run(queued, run_create(queued, new=True))
    await age(admin_database_url, MONTH, queued, active, ended)
    await sweeper.sweep()
    assert await ids_of(alice) == {queued, active}
    await worker.finish_run(first.run.id, finish(1), token=first.token)
    await sweeper.sweep()
    assert await ids_of(alice) == {queued, active}


async def test_a_conversation_that_comes_to_life_meanwhile_stays(
    alice: UserHistory, database: Database, admin_database_url: str
) -> None:
    """It was found idle, and changed before its owner's transaction could lock it."""
    conversation_id = (await alice.put_conversation(conversation_put())).id
    await age(admin_database_url, MONTH, conversation_id)
    async with connected(admin_database_url) as connection:
        await connection.execute("BEGIN")
        await connection.execute("SELECT FROM history.conversations FOR UPDATE")
        retention = Retention(database, FolderBlobs(Path("/nowhere")), 10, MONTH, MONTH)
        sweeping = asyncio.create_task(retention.delete_idle_conversations())
        await eventually(lambda: is_waiting(admin_database_url), what="the sweeper waits for the lock")
        await connection.execute("UPDATE history.conversations SET updated_at = clock_timestamp()")
        await connection.execute("COMMIT")
    assert (await sweeping).rows == 0
    assert await ids_of(alice) == {conversation_id}


async def is_waiting(admin_database_url: str) -> bool:
    async with connected(admin_database_url) as connection:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_attachments_that_no_message_took(
    alice: UserHistory, sweeper: Sweeper, folder: Path, admin_database_url: str
) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    old, fresh = [await upload(alice, content) for content in (b"old", b"fresh")]
    taken = await upload(alice, b"taken", conversation_id)
    await age(admin_database_url, MONTH, old, taken)
    await sweeper.sweep()
    assert (await alice.get_attachment(fresh)).status == (await alice.get_attachment(taken)).status == "stored"
    with pytest.raises(HistoryNotFoundError):
        await alice.get_attachment(old)
    assert {path.read_bytes() for path in files_in(folder) if path.is_file()} == {b"fresh", b"taken"}


async def test_kept_answers_go_after_a_day(
    alice: UserHistory, sweeper: Sweeper, database: Database, admin_database_url: str
) -> None:
    for key in ("old-1", "old-2", "old-3", "new"):
        await alice.create_conversation(ConversationCreate(), idempotency_key=key)
    async with connected(admin_database_url) as connection:
        older = "UPDATE history.answers SET created_at = created_at - interval '1 day' WHERE key LIKE 'old%'"
        await connection.execute(older)
    await sweeper.sweep()
    async with connected(admin_database_url) as connection:
        assert await connection.fetchval("SELECT string_agg(key, ' ') FROM history.answers") == "new"

    with pytest.raises(InsufficientPrivilegeError):
        async with database.transaction(RETENTION_ROLE) as transaction:
            await transaction.rows(Statement(text("SELECT answer FROM history.answers")))


async def test_a_large_conversation_goes_piece_by_piece(
    alice: UserHistory, database: Database, monkeypatch: pytest.MonkeyPatch, admin_database_url: str
) -> None:
    monkeypatch.setattr(deletions, "MAX_MESSAGES", 3)
    conversation_id = (await alice.put_conversation(conversation_put())).id
    for _ in range(7):
        answer = assistant_message(conversation_id)
        await alice.put_item(conversation_id, answer["id"], answer)
    await age(admin_database_url, MONTH, conversation_id)
    retention = Retention(database, FolderBlobs(Path("/nowhere")), 10, MONTH, MONTH)
    swept = [await retention.delete_idle_conversations() for _ in range(4)]
    assert swept == [Swept(0, more=True), Swept(0, more=True), Swept(1, more=False), Swept(0, more=False)]


async def test_one_instance_at_a_time(alice: UserHistory, database: Database, admin_database_url: str) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    await age(admin_database_url, MONTH, conversation_id)
    retention = Retention(database, FolderBlobs(Path("/nowhere")), 10, MONTH, MONTH)
    async with connected(admin_database_url) as connection:
        lock = "SELECT pg_advisory_lock(hashtextextended('threadkeep sweep of idle_conversations', 0))"
        await connection.execute(lock)
        assert await retention.delete_idle_conversations() == Swept(0, more=False)
    assert await retention.delete_idle_conversations() == Swept(1, more=False)


async def test_what_an_interrupted_upload_leaves_is_removed(
    settings: Settings, database: Database, sweeper: Sweeper, folder: Path, admin_database_url: str
) -> None:
    """The process died after it had written the bytes, and another while it did."""
    blobs = open_blobs(settings)
    written, half = new_blob_key("alice"), new_blob_key("alice")
    async with UserAccess(database, "alice").transaction() as history:
        for key in (written, half):
            await history.attachments.reserve(key, timedelta(minutes=10))
    await blobs.put(written, BytesIO(b"all"))
    (folder / f"{half}#1").write_bytes(b"a p")

    await sweeper.sweep()
    assert len([path for path in files_in(folder) if path.is_file()]) == 2, "they may still become an attachment's"

    async with connected(admin_database_url) as connection:
        await connection.execute("UPDATE history.blob_deletions SET due_at = due_at - interval '10 minutes'")
    await sweeper.sweep()
    assert files_in(folder) == []
    async with connected(admin_database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM history.blob_deletions") == 0


async def test_a_blob_that_cannot_be_removed_holds_up_no_other(
    settings: Settings, database: Database, alice: UserHistory, folder: Path, admin_database_url: str
) -> None:
    class Stubborn(FolderBlobs):
        async def delete(self, key: str) -> None:
            if key in stuck:
                raise BlobsUnavailableError()
            await super().delete(key)

    conversation_id = (await alice.put_conversation(conversation_put())).id
    for number in range(4):
        await upload(alice, str(number).encode(), conversation_id)
    keys = [row["blob_key"] for row in await rows_of(admin_database_url, "SELECT blob_key FROM history.attachments")]
    stuck = set(keys[:2])
    async with connected(admin_database_url) as connection:
        await connection.execute("DELETE FROM history.conversations")
    retention = Retention(database, Stubborn(folder), 4, MONTH, MONTH)
    assert await retention.remove_blobs() == Swept(2, more=True)
    assert await retention.remove_blobs() == Swept(0, more=False), "the others were postponed"
    left = await rows_of(admin_database_url, "SELECT key FROM history.blob_deletions WHERE due_at > now()")
    assert {row["key"] for row in left} == stuck
    async with connected(admin_database_url) as connection:
        await connection.execute("UPDATE history.blob_deletions SET due_at = now()")
    stuck.clear()
    assert await retention.remove_blobs() == Swept(2, more=False)
    assert files_in(folder) == []


async def test_the_service_sweeps_when_it_starts_and_counts(
    settings: Settings, alice: UserHistory, folder: Path, admin_database_url: str
) -> None:
    """What one process has left to do, the next one does."""
    ids = [(await alice.put_conversation(conversation_put())).id for _ in range(5)]
    await upload(alice, conversation_id=ids[0])
    await age(admin_database_url, MONTH, *ids)
    retaining = {"retention_days": 30, "retention_batch_size": 2, "retention_interval_seconds": 0.05}
    counted = {"job": "idle_conversations"}
    before = REGISTRY.get_sample_value("threadkeep_swept_total", counted) or 0
    async with serve(create_app(settings.model_copy(update=retaining))) as url, open_service(url) as service:
        await eventually(
            lambda: has_none(HistoryClient(service, signer("chat-service")).as_user("alice")), what="swept"
        )
        await eventually(lambda: files_in(folder) == [], what="bytes removed")
    after = REGISTRY.get_sample_value("threadkeep_swept_total", counted)
    assert after == before + 5


async def has_none(user: UserHistory) -> bool:
    return not await ids_of(user)


async def test_without_days_no_conversation_goes(
    settings: Settings, database: Database, alice: UserHistory, admin_database_url: str
) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    await alice.create_attachment(attachment(), 5)
    await age(admin_database_url, timedelta(days=3650), conversation_id)
    await Sweeper(retention_jobs(settings, database, open_blobs(settings)), interval_seconds=1).sweep()
    assert await ids_of(alice) == {conversation_id}


async def test_a_job_that_fails_is_tried_again_and_holds_up_no_other() -> None:
    calls: list[str] = []

    async def fails() -> Swept:
        calls.append("fails")
        raise RuntimeError

    async def works() -> Swept:
        calls.append("works")
        return Swept(1, more=len(calls) < 4)

    sweeper = Sweeper([SweepJob("fails", fails), SweepJob("works", works)], interval_seconds=3600)
    async with sweeper.running():
        await eventually(lambda: calls == ["fails", "works", "works", "works"])
        sweeper.wake()
        await eventually(lambda: calls[4:] == ["fails", "works"])


async def test_a_stop_in_the_middle_of_a_batch_rolls_it_back(
    settings: Settings, alice: UserHistory, admin_database_url: str
) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    await age(admin_database_url, MONTH, conversation_id)
    async with connected(admin_database_url) as connection:
        await connection.execute("BEGIN")
        await connection.execute("SELECT FROM history.conversations FOR UPDATE")
        async with serve(create_app(settings.model_copy(update={"retention_days": 30}))):
            await eventually(lambda: is_waiting(admin_database_url), what="the sweeper waits for the lock")
        assert not await is_waiting(admin_database_url)
        await connection.execute("ROLLBACK")
    assert await ids_of(alice) == {conversation_id}
    await alice.patch_conversation(conversation_id, ConversationPatch(title="alive"))


async def test_nobody_takes_or_removes_anothers_blob(database: Database) -> None:
    """The database refuses a key that is not the owner's, whatever the SQL above it says."""
    with pytest.raises(CheckViolationError, match="blob_deletions_key_check"):
        await reserve(database, new_blob_key("alice"))
    await reserve(database, new_blob_key("mallory"))


async def reserve(database: Database, key: str) -> None:
    async with UserAccess(database, "mallory").transaction() as history:
        await history.attachments.reserve(key, timedelta(0))
