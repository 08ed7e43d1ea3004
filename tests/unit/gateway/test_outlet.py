"""Pieces reach the caller in order, at once or as fast as it takes them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from gateway.forwarding.outlet import Outlet


class Caller:
    """Takes pieces, or makes `send` wait while it is `slow`."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.drained = 0
        self.failures: list[Exception] = []
        self.breaks = False
        self.slow = False
        self._ready = asyncio.Event()
        self._ready.set()
        self.outlet = Outlet(self.send, on_drained=self._note_drained, on_failure=self.failures.append)

    async def send(self, message: Message) -> None:
        await self._ready.wait()
        if self.slow:
            await asyncio.sleep(0)
        if self.breaks:
            raise OSError("gone")
        self.taken.append(message["body"])

    def stop(self) -> None:
        self._ready.clear()

    def go_on(self) -> None:
        self._ready.set()

    def _note_drained(self) -> None:
        self.drained += 1


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    made = Caller()
    yield made
    await made.outlet.close()


async def test_a_piece_is_sent_before_write_returns(caller: Caller) -> None:
    assert [caller.outlet.write(piece) for piece in (b"1", b"2")] == [True, True]
    assert caller.taken == [b"1", b"2"]
    assert not caller.outlet.is_behind


async def test_a_slow_caller_gets_all_pieces_in_order(caller: Caller) -> None:
    caller.slow = True
    caller.stop()
    assert [caller.outlet.write(b"%d" % number) for number in range(5)] == [False] * 5
    assert (caller.taken, caller.outlet.is_behind) == ([], True)
    caller.go_on()
    await caller.outlet.finish()
    assert caller.drained == 1
    caller.slow = False
    assert caller.outlet.write(b"5")
    assert b"".join(caller.taken) == b"012345"


async def test_a_failure_is_told_at_once_or_later(caller: Caller) -> None:
    caller.breaks = True
    assert not caller.outlet.write(b"1")
    assert len(caller.failures) == 1
    caller.stop()
    caller.outlet.write(b"2")
    caller.go_on()
    with pytest.raises(OSError, match="gone"):
        await caller.outlet.finish()
    assert len(caller.failures) == 2
    assert (caller.taken, caller.drained) == ([], 0)


async def test_what_was_not_taken_is_forgotten_in_the_end(caller: Caller) -> None:
    caller.stop()
    caller.outlet.write(b"1")
    caller.outlet.write(b"2")
    await caller.outlet.close()
    caller.go_on()
    await asyncio.sleep(0)
    assert caller.taken == []
