"""Deleting a user: nothing of theirs is left in any table or blob, nothing of others is lost."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from contracts.conversations import ConversationCreate
from contracts.ids import new_id
from contracts.principal import CONVERSATIONS_WRITE, USERS_DELETE
from contracts.runs import Claim
from history_client import (
    HistoryNotFoundError,
    LeaseLostError,
    UserHistory,
    WorkerHistoryClient,
)
from history_service.services import deletion as service
from history_service.storage import deletions as storage
from launcher.sql import connected
from tests.integration.history_service.conftest import History, openai_as, signer
from tests.support.attachments import attachment, download, files_in, upload
from tests.support.history import assistant_message, claim_one, conversation_put, finish, items_put, run_create
from tests.support.servers import eventually
from tests.support.sql import rows_of

Counts = dict[str, dict[str, int]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "attachments"


async def fill(history: History, user_id: str, worker: WorkerHistoryClient) -> str:
    """Give a user something in every table; returns the id of a conversation with an unfinished run."""
    user = history.user(user_id)
    conversation_id = new_id("thr")
    for number in range(3):
        created = await user.create_run(conversation_id, run_create(conversation_id, new=number == 0))
        claim = await claim_one(worker, "worker")
        assert claim is not None
        answer = assistant_message(conversation_id)
        await worker.finish_run(created.run.id, finish(1, answer), token=claim.token)
        await user.put_feedback(conversation_id, [answer["id"]], "positive")
    await upload(user, f"{user_id} in a conversation".encode(), conversation_id)
    await upload(user, f"{user_id} in none".encode())
    await user.create_attachment(attachment("pending"), 5)
    await user.create_conversation(ConversationCreate(title="kept answer"), idempotency_key="key-1")
    async with openai_as(history, user_id) as client:
        await client.conversations.create(items=[{"type": "message", "role": "user", "content": "Hi"}])
    return conversation_id


async def count(admin_database_url: str) -> Counts:
    """Return the rows of each owner, for every table of the schema that there is."""
    counts: Counts = {}
    tables = await rows_of(
        admin_database_url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'history'::regnamespace AND relkind IN ('r', 'p', 'm')",
    )
    for table in {row["relname"] for row in tables} - {"alembic_version"}:
        by_owner = f"SELECT user_id, count(*) AS rows FROM history.{table} GROUP BY 1"  # noqa: S608
        counts[table] = {row["user_id"]: row["rows"] for row in await rows_of(admin_database_url, by_owner)}
    return counts


async def test_nothing_is_left_in_any_table_or_among_the_blobs(
    history: History, worker: WorkerHistoryClient, folder: Path, admin_database_url: str
) -> None:
    for user_id in ("alice", "bob"):
        await fill(history, user_id, worker)
    async with connected(admin_database_url) as connection:
        await connection.execute(
            "INSERT INTO history.blob_deletions (key, user_id)"
            " SELECT encode(sha256(user_id::bytea), 'hex') || '/left', user_id"
            " FROM unnest(ARRAY['alice', 'bob']) AS user_id"
        )
        # An answer that tells of no conversation, so that none takes it along.
        await connection.execute(
            "INSERT INTO history.answers (user_id, key, request_digest) VALUES ('alice', 'k', 'd'), ('bob', 'k', 'd')"
        )
    before = await count(admin_database_url)
    # A table without rows here would not be tested: give it some in `fill`.
    assert {table: set(owners) for table, owners in before.items()} == {table: {"alice", "bob"} for table in before}

    await history.user("alice").delete_user()

    after = await count(admin_database_url)
    assert [table for table, owners in after.items() if "alice" in owners] == []
    left = {table: owners for table, owners in after.items() if table != "blob_deletions"}
    assert left == {table: {"bob": before[table]["bob"]} for table in left}
    await eventually(lambda: contents(folder) == {b"bob in a conversation", b"bob in none"}, what="blobs removed")
    await history.user("alice").delete_user()
    assert (await history.user("alice").list_conversations()).data == []


def contents(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in files_in(folder) if path.is_file()}


async def test_the_bytes_are_gone_when_the_answer_comes(alice: UserHistory, folder: Path) -> None:
    conversation = await alice.put_conversation(conversation_put())
    await upload(alice, b"one", conversation.id)
    await upload(alice, b"two")
    await alice.delete_user()
    assert files_in(folder) == []


async def test_nobody_deletes_another(history: History, alice: UserHistory) -> None:
    await alice.put_conversation(conversation_put())
    for user_id, scope, code in (
        ("bob", USERS_DELETE, "user_mismatch"),
        ("alice", CONVERSATIONS_WRITE, "scope_missing"),
    ):
        token = signer("chat-service").sign("history-service", [scope], user_id=user_id)
        response = await history.http.delete("/users/alice", headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["code"]) == (403, code)
    assert len((await alice.list_conversations()).data) == 1


async def test_batches_and_requests_are_bounded(
    alice: UserHistory, monkeypatch: pytest.MonkeyPatch, admin_database_url: str
) -> None:
    for _ in range(5):
        conversation = await alice.put_conversation(conversation_put())
        for _ in range(4):
            answer = assistant_message(conversation.id)
            await alice.put_item(conversation.id, answer["id"], answer)
        await upload(alice)
    monkeypatch.setattr(storage, "MAX_MESSAGES", 3)
    monkeypatch.setattr(service, "BATCH_CONVERSATIONS", 2)
    monkeypatch.setattr(service, "BATCH_ROWS", 2)
    monkeypatch.setattr(service, "BATCH_BLOBS", 2)
    async with connected(admin_database_url) as connection:
        await connection.execute(LARGEST_DELETION)
    await alice.delete_user()
    assert {table for table, owners in (await count(admin_database_url)).items() if owners} == set()
    largest = await rows_of(admin_database_url, "SELECT name, max(rows) AS rows FROM public.deletions GROUP BY 1")
    assert {row["name"]: row["rows"] for row in largest} == {"messages": 3, "conversations": 2, "attachments": 2}


LARGEST_DELETION = """
CREATE TABLE public.deletions (name text, rows bigint);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO public.deletions SELECT TG_TABLE_NAME, count(*) FROM gone HAVING count(*) > 0; RETURN NULL;
END $$;
CREATE TRIGGER note AFTER DELETE ON history.messages REFERENCING OLD TABLE AS gone EXECUTE FUNCTION public.note();
CREATE TRIGGER note AFTER DELETE ON history.conversations REFERENCING OLD TABLE AS gone EXECUTE FUNCTION public.note();
CREATE TRIGGER note AFTER DELETE ON history.attachments REFERENCING OLD TABLE AS gone EXECUTE FUNCTION public.note();
"""


async def test_what_does_not_fit_into_one_request_is_done_by_several(
    history: History, alice: UserHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await alice.put_conversation(conversation_put())
    monkeypatch.setattr(service, "BATCH_CONVERSATIONS", 1)
    monkeypatch.setattr(service.UserDeletion.delete, "__defaults__", (0.0,))
    token = signer("chat-service").sign("history-service", [USERS_DELETE], user_id="alice")
    response = await history.http.delete("/users/alice", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["code"]) == (503, "deletion_unfinished")
    assert len((await alice.list_conversations()).data) == 2
    await alice.delete_user()
    assert (await alice.list_conversations()).data == []


async def test_the_worker_of_a_run_in_progress_is_refused(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    run = (await alice.create_run(conversation_id, run_create(conversation_id, new=True))).run
    claim = await claim_one(worker, "worker")
    assert claim is not None
    await alice.delete_user()
    with pytest.raises(LeaseLostError):
        await worker.heartbeat(run.id, 1)
    answer = assistant_message(conversation_id)
    with pytest.raises(HistoryNotFoundError, match="run_not_found"):
        await worker.put_run_items(run.id, items_put(1, answer), token=claim.token)
    with pytest.raises(HistoryNotFoundError, match="run_not_found"):
        await worker.finish_run(run.id, finish(1, answer), token=claim.token)
    assert await claim_one(worker, "worker") is None
    assert {table for table, owners in (await count(admin_database_url)).items() if owners} == set()


async def test_a_worker_that_writes_meanwhile_is_refused_or_deleted(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    """Writes and deletion at the same time: no deadlock, no unexpected answer, nothing left."""
    claims: dict[str, Claim] = {}
    for _ in range(4):
        conversation_id = new_id("thr")
        await alice.create_run(conversation_id, run_create(conversation_id, new=True))
        claim = await claim_one(worker, "worker")
        assert claim is not None
        claims[conversation_id] = claim

    async def write(conversation_id: str) -> None:
        claim = claims[conversation_id]
        for _ in range(20):
            answer = assistant_message(conversation_id)
            await worker.put_run_items(claim.run.id, items_put(1, answer), token=claim.token)

    writing = [asyncio.create_task(write(conversation_id)) for conversation_id in claims]
    await alice.delete_user()
    for result in await asyncio.gather(*writing, return_exceptions=True):
        assert result is None or isinstance(result, HistoryNotFoundError)
    assert {table for table, owners in (await count(admin_database_url)).items() if owners} == set()


async def test_an_upload_that_is_under_way_is_refused_and_leaves_nothing(
    history: History, alice: UserHistory, folder: Path, admin_database_url: str
) -> None:
    created = await alice.create_attachment(attachment(), 6)
    received = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"abc"
        received.set()
        await deleted.wait()
        yield b"def"

    deleted = asyncio.Event()
    uploading = asyncio.create_task(history.user().upload_attachment(created.id, pieces()))
    await received.wait()
    await alice.delete_user()
    deleted.set()
    with pytest.raises(HistoryNotFoundError, match="attachment_not_found"):
        await uploading
    async with connected(admin_database_url) as connection:
        await connection.execute("UPDATE history.blob_deletions SET due_at = now()")
    await alice.delete_user()
    assert files_in(folder) == []
    assert {table for table, owners in (await count(admin_database_url)).items() if owners} == set()


async def test_what_the_user_writes_afterwards_is_new(alice: UserHistory) -> None:
    await upload(alice)
    await alice.delete_user()
    assert await download(alice, await upload(alice, b"new")) == b"new"
