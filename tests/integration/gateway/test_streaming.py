"""Event streams: nothing is held back, comments only between frames, and both ends learn of each other's end."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from contracts.frames import KEEP_ALIVE
from tests.integration.gateway.conftest import Inside, StartGateway, bearer, secret_token
from tests.support.servers import eventually

CHATKIT = "/api/ann/chatkit"
FRAME = b'id: 1-1\ndata: {"type":"x"}\n\n'
TINY = 0.02
"""A keep-alive interval that makes comments come at once."""


async def _until(pieces: AsyncIterator[bytes], wanted: bytes) -> bytes:
    """Read until the bytes end with what is wanted."""
    read = b""
    async with asyncio.timeout(5):
        while not read.endswith(wanted):
            read += await anext(pieces)
    return read


async def test_each_frame_arrives_while_the_rest_is_held_back(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = lambda: inside.stream(headers={"X-Run-Id": "run_1", "Cache-Control": "public"})
    async with gateway.stream("POST", CHATKIT, content=b"{}") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-run-id"] == "run_1"
        pieces = response.aiter_raw()
        for number in range(3):
            frame = b"id: 1-%d\ndata: {}\n\n" % number
            await inside.pieces.put(frame)
            assert await _until(pieces, frame) == frame
        await inside.pieces.put(None)
        assert [piece async for piece in pieces] == []


async def test_comments_fill_silence_only_between_frames(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    async with (
        start_gateway(keepalive_seconds=TINY) as gateway,
        gateway.stream("POST", CHATKIT, content=b"{}", headers=bearer(secret_token())) as response,
    ):
        pieces = response.aiter_raw()
        assert (await _until(pieces, KEEP_ALIVE * 2)).replace(KEEP_ALIVE, b"") == b""
        for part in (FRAME[:12], FRAME[12:-1]):
            await inside.pieces.put(part)
            await asyncio.sleep(TINY * 5)  # several intervals of silence inside a frame: nothing to wait for may come
        await inside.pieces.put(FRAME[-1:])
        read = await _until(pieces, FRAME[-1:] + KEEP_ALIVE)
        await inside.pieces.put(None)
    before, _, after = read.partition(FRAME)
    assert before.replace(KEEP_ALIVE, b"") == b""
    assert after.replace(KEEP_ALIVE, b"") == b""


async def test_comments_keep_out_of_answers_that_are_no_event_stream(
    start_gateway: StartGateway, inside: Inside
) -> None:
    inside.answer = lambda: inside.stream(media_type="application/json")
    async with (
        start_gateway(keepalive_seconds=TINY) as gateway,
        gateway.stream("POST", CHATKIT, headers=bearer(secret_token())) as response,
    ):
        await asyncio.sleep(TINY * 5)  # nothing may come: there is no event to wait for
        await inside.pieces.put(b"{}")
        await inside.pieces.put(None)
        assert await response.aread() == b"{}"


async def test_a_callers_going_reaches_the_service(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = inside.stream
    async with gateway.stream("POST", CHATKIT, content=b"{}") as response:
        await inside.pieces.put(FRAME)
        await _until(response.aiter_raw(), FRAME)
        assert not inside.aborted.is_set()
    await eventually(inside.aborted.is_set, seconds=5, what="the service sees the abort")


async def test_a_callers_going_before_the_answer_reaches_the_service(start_gateway: StartGateway) -> None:
    """The service takes the request and says nothing yet."""
    taken, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        taken.set()
        await reader.read()
        left.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, start_gateway(chat_url=url) as gateway:
        call = asyncio.create_task(gateway.get("/api/ann/model", headers=bearer(secret_token())))
        await asyncio.wait_for(taken.wait(), 5)
        call.cancel()
        await asyncio.wait_for(left.wait(), 5)


async def test_a_stream_that_breaks_inside_does_not_end_cleanly(start_gateway: StartGateway) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%b\r\n" % (len(FRAME), FRAME))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, start_gateway(chat_url=url) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - the failure is at the end of the stream
            async with gateway.stream("GET", "/api/ann/runs/run_1/events", headers=bearer(secret_token())) as response:
                pieces = response.aiter_raw()
                assert await _until(pieces, FRAME) == FRAME
                async for piece in pieces:
                    raise AssertionError(piece)


async def test_a_stream_that_falls_silent_for_too_long_is_given_up(start_gateway: StartGateway, inside: Inside) -> None:
    inside.answer = inside.stream
    async with start_gateway(stream_idle_seconds=0.2, keepalive_seconds=TINY) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - the failure is at the end of the stream
            async with gateway.stream("POST", CHATKIT, headers=bearer(secret_token())) as response:
                async for piece in response.aiter_raw():
                    assert piece.replace(KEEP_ALIVE, b"") == b""
    await eventually(inside.aborted.is_set, seconds=5, what="the service sees the abort")


async def test_many_streams_at_once_get_their_own_bytes(gateway: httpx.AsyncClient, inside: Inside) -> None:
    inside.answer = inside.stream

    async def read() -> bytes:
        async with gateway.stream("POST", CHATKIT) as response:
            return b"".join([piece async for piece in response.aiter_raw()])

    readers = [asyncio.create_task(read()) for _ in range(30)]
    await eventually(lambda: len(inside.seen) == 30, what="all requests are inside")
    for _ in range(30):
        await inside.pieces.put(FRAME)
    for _ in range(30):
        await inside.pieces.put(None)
    assert sorted(await asyncio.gather(*readers), key=len)[-1].count(FRAME) >= 1
    assert b"".join(await asyncio.gather(*readers)) == FRAME * 30
