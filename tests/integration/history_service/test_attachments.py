"""Attachments: in two phases, closed between users, and gone with their bytes."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from contracts.conversations import JsonObject
from contracts.ids import new_id
from contracts.principal import ATTACHMENTS_READ, ATTACHMENTS_WRITE, CONVERSATIONS_WRITE
from history_client import (
    HistoryConflictError,
    HistoryError,
    HistoryForbiddenError,
    HistoryInvalidError,
    HistoryNotFoundError,
    UserHistory,
)
from tests.integration.history_service.conftest import History, signer
from tests.support.attachments import attachment, download, files_in, upload
from tests.support.history import conversation_put
from tests.support.servers import eventually
from tests.support.sql import rows_of

LARGE = os.urandom(700_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "attachments"


async def in_pieces(content: bytes, size: int = 10_000) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def headers(scope: str, user_id: str = "alice") -> dict[str, str]:
    return {"Authorization": f"Bearer {signer('chat-service').sign('history-service', [scope], user_id=user_id)}"}


async def test_announced_uploaded_and_fetched(alice: UserHistory) -> None:
    payload = attachment("Notizen – übrig.txt", metadata={"n": 1e300, "b": [1, 2.0]}, upload_descriptor=None)
    created = await alice.create_attachment(payload, len(LARGE))
    assert (created.status, created.sha256, created.size_bytes) == ("pending", None, len(LARGE))
    assert created.payload == payload
    assert list(created.payload) == list(payload)

    stored = await alice.upload_attachment(created.id, in_pieces(LARGE))
    assert stored.status == "stored"
    assert await alice.get_attachment(created.id) == stored
    assert await download(alice, created.id) == LARGE


async def test_a_download_is_saved_and_never_shown(history: History, alice: UserHistory) -> None:
    payload = attachment('a "quoted"; ünïcode.html', mime_type="text/html")
    created = await alice.create_attachment(payload, 4)
    await alice.upload_attachment(created.id, b"<b/>")
    response = await history.http.get(f"/attachments/{created.id}/content", headers=headers(ATTACHMENTS_READ))
    assert response.content == b"<b/>"
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["content-length"] == "4"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    disposition = response.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="a _quoted_; _n_code.html"; ')
    assert disposition.endswith("filename*=UTF-8''a%20%22quoted%22%3B%20%C3%BCn%C3%AFcode.html")


async def test_the_same_again_changes_nothing(alice: UserHistory, folder: Path, admin_database_url: str) -> None:
    payload = attachment()
    created = await alice.create_attachment(payload, 5)
    assert await alice.create_attachment(payload, 5) == created
    stored = await alice.upload_attachment(created.id, b"hello")
    files = files_in(folder)
    assert await alice.upload_attachment(created.id, b"hello") == stored
    assert files_in(folder) == files
    assert await noted(admin_database_url) == []
    with pytest.raises(HistoryConflictError, match="content_conflict"):
        await alice.upload_attachment(created.id, b"HELLO")
    with pytest.raises(HistoryConflictError, match="attachment_conflict"):
        await alice.create_attachment(payload, 6)
    with pytest.raises(HistoryConflictError, match="attachment_conflict"):
        await alice.create_attachment(payload | {"name": "other"}, 5)
    assert await download(alice, created.id) == b"hello"


async def noted(admin_database_url: str) -> list[str]:
    return [row["key"] for row in await rows_of(admin_database_url, "SELECT key FROM history.blob_deletions")]


@pytest.mark.parametrize("content", [b"", b"hell", b"hello!"])
async def test_a_content_of_another_size_is_refused(alice: UserHistory, folder: Path, content: bytes) -> None:
    created = await alice.create_attachment(attachment(), 5)
    with pytest.raises(HistoryConflictError, match="content_conflict"):
        await alice.upload_attachment(created.id, content)
    assert (await alice.get_attachment(created.id)).status == "pending"
    assert files_in(folder) == []
    with pytest.raises(HistoryNotFoundError, match="content_not_found"):
        await download(alice, created.id)


async def test_an_empty_file_is_a_file(alice: UserHistory) -> None:
    assert await download(alice, await upload(alice, b"")) == b""


async def test_two_uploads_at_once_store_one_content(alice: UserHistory, folder: Path) -> None:
    created = await alice.create_attachment(attachment(), 300_000)
    contents = [bytes([number]) * 300_000 for number in range(4)]
    results = await asyncio.gather(
        *(alice.upload_attachment(created.id, in_pieces(content)) for content in contents), return_exceptions=True
    )
    errors = [result for result in results if isinstance(result, BaseException)]
    assert len(errors) == 3
    assert all(isinstance(error, HistoryConflictError) for error in errors)
    winner = next(number for number, result in enumerate(results) if not isinstance(result, BaseException))
    assert await download(alice, created.id) == contents[winner]


async def test_limits(history: History, alice: UserHistory) -> None:
    """The service's limit for other bodies is 64 KiB; an upload has one of 1 MiB."""
    limit = 1024 * 1024
    with pytest.raises(HistoryInvalidError, match="payload_too_large"):
        await alice.create_attachment(attachment(), limit + 1)
    created = await alice.create_attachment(attachment(), limit)
    for path, size in ((f"/attachments/{created.id}/content", limit + 1), (f"/attachments/{created.id}", 65 * 1024)):
        announced = headers(ATTACHMENTS_WRITE) | {"content-type": "application/json", "content-length": str(size)}
        response = await history.http.put(path, content=in_pieces(b"x" * size), headers=announced)
        assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    with pytest.raises(HistoryInvalidError, match="payload_too_large"):
        await alice.upload_attachment(created.id, in_pieces(b"x" * (limit + 1)))
    await alice.upload_attachment(created.id, in_pieces(b"x" * limit))


async def test_what_is_no_attachment_is_refused(history: History) -> None:
    for changes in ({"id": "a/b"}, {"name": "a\x00b"}, {"name": "a\ud800"}, {"mime_type": "text/plain\r\nX-Evil: 1"}):
        response = await post(history, {"payload": attachment() | changes, "size_bytes": 1})
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    for size in (-1, "5", 1.5, None, True):
        response = await post(history, {"payload": attachment(), "size_bytes": size})
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert (await post(history, {"payload": attachment(), "size_bytes": 2**63})).status_code == 413


async def post(history: History, body: JsonObject) -> httpx.Response:
    wanted = headers(ATTACHMENTS_WRITE) | {"content-type": "application/json"}
    return await history.http.post("/attachments", content=json.dumps(body), headers=wanted)


async def test_somebody_elses_is_forbidden_and_an_unknown_one_not_found(alice: UserHistory, bob: UserHistory) -> None:
    payload = attachment()
    await alice.create_attachment(payload, 5)
    await alice.upload_attachment(payload["id"], b"hello")
    for forbidden in attempts(bob, payload):
        with pytest.raises(HistoryForbiddenError, match="attachment_forbidden"):
            await forbidden()
    for unknown in attempts(bob, payload | {"id": new_id("atc")})[:-1]:
        with pytest.raises(HistoryNotFoundError, match="attachment_not_found"):
            await unknown()
    assert await download(alice, payload["id"]) == b"hello"


def attempts(user: UserHistory, payload: JsonObject) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: user.get_attachment(payload["id"]),
        lambda: user.put_attachment(payload),
        lambda: user.upload_attachment(payload["id"], b"hello"),
        lambda: download(user, payload["id"]),
        lambda: user.delete_attachment(payload["id"]),
        lambda: user.create_attachment(payload, 5),
    ]


async def test_nobody_puts_an_attachment_into_anothers_conversation(alice: UserHistory, bob: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.create_attachment(attachment(conversation_id=conversation.id), 5)
    own = attachment()
    await bob.create_attachment(own, 5)
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.put_attachment(own | {"thread_id": conversation.id})
    with pytest.raises(HistoryNotFoundError, match="conversation_not_found"):
        await bob.put_attachment(own | {"thread_id": new_id("thr")})
    with pytest.raises(HistoryForbiddenError, match="conversation_forbidden"):
        await bob.list_attachments(conversation.id)
    assert (await alice.list_attachments(conversation.id)).data == []


async def test_a_message_takes_an_attachment_into_its_conversation_for_good(alice: UserHistory) -> None:
    first, second = [await alice.put_conversation(conversation_put()) for _ in range(2)]
    payload = attachment()
    await alice.create_attachment(payload, 5)
    taken = await alice.put_attachment(payload | {"thread_id": first.id, "upload_descriptor": None})
    assert (taken.conversation_id, taken.payload["upload_descriptor"]) == (first.id, None)
    for other in (second.id, None):
        with pytest.raises(HistoryConflictError, match="attachment_conflict"):
            await alice.put_attachment(payload | {"thread_id": other})
    assert [row.id for row in (await alice.list_attachments(first.id)).data] == [payload["id"]]


async def test_the_attachments_of_a_conversation_in_pages(alice: UserHistory) -> None:
    conversation = await alice.put_conversation(conversation_put())
    ids = [await upload(alice, conversation_id=conversation.id) for _ in range(5)]
    assert [page async for page in pages(alice, conversation.id)] == [ids[:2], ids[2:4], ids[4:]]
    newest = await alice.list_attachments(conversation.id, limit=2, order="desc")
    assert [row.id for row in newest.data] == [ids[4], ids[3]]
    with pytest.raises(HistoryInvalidError, match="invalid_cursor"):
        await alice.list_attachments(conversation.id, after=await upload(alice))


async def pages(user: UserHistory, conversation_id: str) -> AsyncIterator[list[str]]:
    after, more = None, True
    while more:
        page = await user.list_attachments(conversation_id, limit=2, after=after)
        yield [row.id for row in page.data]
        after, more = page.after, page.has_more


async def test_a_scope_is_needed(history: History) -> None:
    for method, path in (("GET", "/attachments/x"), ("DELETE", "/attachments/x"), ("PUT", "/attachments/x/content")):
        response = await history.http.request(method, path, headers=headers(CONVERSATIONS_WRITE))
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing")


async def test_deleting_removes_the_bytes_soon(alice: UserHistory, folder: Path, admin_database_url: str) -> None:
    kept, deleted = await upload(alice, b"kept"), await upload(alice, b"deleted")
    await alice.delete_attachment(deleted)
    with pytest.raises(HistoryNotFoundError):
        await alice.get_attachment(deleted)
    await eventually(lambda: contents(folder) == {b"kept"}, what="bytes removed")
    await eventually(lambda: has_no_notes(admin_database_url), what="note removed")
    assert await download(alice, kept) == b"kept"


def contents(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in files_in(folder) if path.is_file()}


async def has_no_notes(admin_database_url: str) -> bool:
    return await noted(admin_database_url) == []


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    history: History, alice: UserHistory, folder: Path, admin_database_url: str
) -> None:
    created = await alice.create_attachment(attachment(), 100_000)
    half_is_sent, gone = asyncio.Event(), asyncio.Event()

    async def half() -> AsyncGenerator[bytes]:
        yield b"x" * 50_000
        half_is_sent.set()
        await gone.wait()

    def refusals() -> float:
        route = "/attachments/{attachment_id}/content"
        labels = {"service": "history-service", "method": "PUT", "route": route, "status": "422"}
        return REGISTRY.get_sample_value("threadkeep_http_requests_total", labels) or 0

    before = refusals()
    path = f"/attachments/{created.id}/content"
    request = asyncio.ensure_future(history.http.put(path, content=half(), headers=headers(ATTACHMENTS_WRITE)))
    await asyncio.wait_for(half_is_sent.wait(), 10)
    request.cancel()
    with pytest.raises((asyncio.CancelledError, httpx.TransportError)):
        await request
    await eventually(lambda: refusals() > before, what="it is taken for the client's failure, and not for ours")
    assert files_in(folder) == []
    assert await noted(admin_database_url) == []
    with pytest.raises(HistoryError, match="content_not_found"):
        await download(alice, created.id)
    await alice.upload_attachment(created.id, b"y" * 100_000)
    assert contents(folder) == {b"y" * 100_000}
