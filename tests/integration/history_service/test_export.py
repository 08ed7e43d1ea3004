"""Exports: exact, complete and provably so, of one's own alone, and no burden while they are read."""

import asyncio
import json

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.conversations import JsonObject
from contracts.export import ExportEnd, ExportHeader, ExportRecord
from contracts.ids import new_id
from contracts.principal import CONVERSATIONS_READ, USERS_EXPORT
from history_client import (
    HistoryForbiddenError,
    HistoryNotFoundError,
    HistoryUnavailableError,
    UserHistory,
    WorkerHistoryClient,
)
from history_service.app import create_app
from history_service.services import exports as service
from history_service.settings import Settings
from history_service.storage import exports as storage
from launcher.sql import connected
from service_kit.http import create_http_client
from tests.integration.history_service.conftest import History, signer
from tests.support.attachments import attachment, upload
from tests.support.history import assistant_message, claim_one, conversation_put, finish, run_create
from tests.support.servers import eventually, serve
from tests.support.sql import rows_of

SEPARATORS = "line\u2028paragraph\u2029next\x85unit\x1f"
EXACT: JsonObject = {"z": 1, "a": [1e300, -0.0, 12345678901234567890, "ü", {"b": None}]}


async def tell(user: UserHistory, worker: WorkerHistoryClient) -> str:
    """A conversation with something of everything; returns its id."""
    conversation_id = new_id("thr")
    created = await user.create_run(conversation_id, run_create(conversation_id, SEPARATORS, new=True))
    claim = await claim_one(worker, "worker")
    assert claim is not None
    answer: JsonObject = assistant_message(conversation_id) | {"exact": EXACT}
    await worker.finish_run(created.run.id, finish(1, answer), token=claim.token)
    await user.put_feedback(conversation_id, [answer["id"]], "positive")
    await upload(user, b"hello", conversation_id)
    return conversation_id


async def export(user: UserHistory) -> list[ExportRecord]:
    return [record async for record in user.export_user()]


async def test_all_of_a_users_data_and_nobody_elses(
    alice: UserHistory, bob: UserHistory, worker: WorkerHistoryClient
) -> None:
    ids = {await tell(alice, worker) for _ in range(2)}
    await tell(bob, worker)
    await alice.create_attachment(attachment("unattached"), 7)

    records = await export(alice)

    header, end = records[0], records[-1]
    assert isinstance(header, ExportHeader)
    assert (header.format, header.version, header.user_id) == ("threadkeep.export", 1, "alice")
    assert isinstance(end, ExportEnd)
    assert end.counts.model_dump() == {"conversations": 2, "items": 4, "runs": 2, "feedback": 2, "attachments": 3}
    kinds = ["conversation", "item", "item", "run", "feedback", "attachment"]
    assert [record.type for record in records] == ["header", *kinds, *kinds, "attachment", "end"]
    assert {record.data.id for record in records if record.type == "conversation"} == ids
    for record in records:
        if record.type == "item":
            assert record.data.payload == await alice.get_item(record.data.conversation_id, record.data.id)
        elif record.type == "attachment":
            assert record.data == await alice.get_attachment(record.data.id)


async def test_a_conversation_as_one_document(
    history: History, alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = await tell(alice, worker)
    document = await alice.export_conversation(conversation_id)
    assert document.conversation == await alice.get_conversation(conversation_id)
    assert [item.position for item in document.items] == [1, 2]
    assert [item.payload for item in document.items] == (await alice.list_items(conversation_id)).data
    assert document.runs == (await alice.list_runs(conversation_id)).data
    assert document.feedback == (await alice.list_feedback(conversation_id)).data
    assert document.attachments == (await alice.list_attachments(conversation_id)).data

    text = (await get(history.http, f"/conversations/{conversation_id}/export", CONVERSATIONS_READ)).text
    for row in await rows_of(admin_database_url, "SELECT payload::text FROM history.messages"):
        assert f'"payload":{row["payload"]}' in text


async def get(http: httpx.AsyncClient, path: str, scope: str) -> httpx.Response:
    token = signer("chat-service").sign("history-service", [scope], user_id="alice")
    return await http.get(path, headers={"Authorization": f"Bearer {token}"})


async def test_a_document_with_empty_sections(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    document = await alice.export_conversation(conversation.id)
    assert (document.items, document.runs, document.feedback, document.attachments) == ([], [], [], [])
    await upload(alice, conversation_id=conversation.id)
    document = await alice.export_conversation(conversation.id)
    assert (document.items, len(document.attachments)) == ([], 1)


async def test_nobody_exports_anothers_conversation(alice: UserHistory, bob: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.export_conversation(conversation.id)
    with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
        await bob.export_conversation(new_id("thr"))


async def test_a_scope_is_needed(history: History) -> None:
    response = await get(history.http, "/export", CONVERSATIONS_READ)
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(("rows", "size"), [(2, 10**6), (1, 10**6), (200, 500)])
async def test_batches_neither_lose_nor_repeat_anything(
    alice: UserHistory, worker: WorkerHistoryClient, monkeypatch: pytest.MonkeyPatch, rows: int, size: int
) -> None:
    conversation_id = await tell(alice, worker)
    for number in range(7):
        extra = assistant_message(conversation_id, "x" * 100 * number)
        await alice.put_item(conversation_id, extra["id"], extra)
        await alice.put_feedback(conversation_id, [extra["id"]], "negative")
        await upload(alice, b"", conversation_id if number % 2 else None)
    whole, document = await export(alice), await alice.export_conversation(conversation_id)
    for module, name, value in (
        (storage, "BATCH_ROWS", rows),
        (service, "BATCH_ROWS", rows),
        (storage, "BATCH_BYTES", size),
    ):
        monkeypatch.setattr(module, name, value)
    assert [strip(record) for record in await export(alice)] == [strip(record) for record in whole]
    again = await alice.export_conversation(conversation_id)
    assert again.model_copy(update={"exported_at": document.exported_at}) == document


def strip(record: ExportRecord) -> JsonObject:
    return record.model_dump(exclude={"started_at", "finished_at"})


async def test_each_line_is_a_json_text(history: History, alice: UserHistory, worker: WorkerHistoryClient) -> None:
    await tell(alice, worker)
    response = await get(history.http, "/export", USERS_EXPORT)
    assert response.headers["content-type"] == "application/x-ndjson"
    *lines, rest = response.content.split(b"\n")
    assert rest == b""
    assert [json.loads(line)["type"] for line in lines][:3] == ["header", "conversation", "item"]
    assert any(SEPARATORS.encode() in line or "\u2028".encode() in line for line in lines)


async def test_nothing_is_held_while_the_reader_takes_its_time(
    settings: Settings, alice: UserHistory, admin_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that has stopped in the middle keeps no connection: the pool has only one."""
    monkeypatch.setattr(storage, "BATCH_BYTES", 500_000)
    conversation = await alice.put_conversation(conversation_put())
    for _ in range(20):
        large = assistant_message(conversation.id, "x" * 60_000)
        await alice.put_item(conversation.id, large["id"], large)
    small = settings.model_copy(update={"database_pool_size": 1, "database_pool_timeout_seconds": 5})
    pause = Pause("/export", after_bytes=500_000)

    async def nothing_is_open() -> bool:
        async with connected(admin_database_url) as connection:
            query = (
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE state = 'idle in transaction' AND datname = current_database()"
            )
            return await connection.fetchval(query) == 0

    async with serve(pause.before(create_app(small))) as url, create_http_client(url) as http:
        reading = asyncio.create_task(get(http, "/export", USERS_EXPORT))
        await asyncio.wait_for(pause.has_begun.wait(), 20)
        for _ in range(5):
            response = await get(http, f"/conversations/{conversation.id}", CONVERSATIONS_READ)
            assert response.status_code == 200
        await eventually(nothing_is_open, what="no transaction is open")
        pause.is_over.set()
        lines = (await reading).text.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["header", "conversation", *["item"] * 20, "end"]


class Pause:
    """A reader's, as a service meets it: so many bytes of the answer are taken, the rest only when it is over."""

    def __init__(self, path: str, *, after_bytes: int) -> None:
        self._path = path
        self._bytes_left = after_bytes
        self.has_begun, self.is_over = asyncio.Event(), asyncio.Event()

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the app with this reader at the path."""

        async def paused(scope: Scope, receive: Receive, send: Send) -> None:
            async def take(message: Message) -> None:
                await send(message)
                self._bytes_left -= len(message.get("body", b""))
                if self._bytes_left < 0:
                    self.has_begun.set()
                    await self.is_over.wait()

            await app(scope, receive, take if scope.get("path") == self._path else send)

        return paused


async def test_a_cut_off_export_is_noticed(alice: UserHistory, admin_database_url: str) -> None:
    """The database fails in the middle: there is no end, and the reader is told."""
    for _ in range(3):
        conversation = await alice.put_conversation(conversation_put())
        for _ in range(60):
            large = assistant_message(conversation.id, "x" * 60_000)
            await alice.put_item(conversation.id, large["id"], large)
    read: list[ExportRecord] = []

    async def read_while_a_table_goes_away() -> None:
        async for record in alice.export_user():
            if not read:
                async with connected(admin_database_url) as connection:
                    await connection.execute("ALTER TABLE history.runs RENAME TO gone")
            read.append(record)

    with pytest.raises(HistoryUnavailableError, match=r"export_broken|upstream_unavailable"):
        await read_while_a_table_goes_away()
    assert read
    assert not any(isinstance(record, ExportEnd) for record in read)
