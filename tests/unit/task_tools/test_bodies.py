"""What the MCP library reads: bodies that come wholly, and then whether the client is still there."""

from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from service_kit.problems import InvalidRequestError
from task_tools.tools.bodies import WholeBodyMiddleware

BEGUN: Message = {"type": "http.request", "body": b"{", "more_body": True}
ENDED: Message = {"type": "http.request", "body": b"}"}
GONE: Message = {"type": "http.disconnect"}


async def _read(messages: Sequence[Message]) -> list[Message]:
    """Return what an app gets that reads all messages."""
    coming = iter(messages)
    got: list[Message] = []

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        raise AssertionError("nothing to send")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in messages:
            got.append(await receive())

    await WholeBodyMiddleware(app)({"type": "http"}, receive, send)
    return got


async def test_who_leaves_after_the_body_is_reported_as_gone() -> None:
    assert await _read([BEGUN, ENDED, GONE]) == [BEGUN, ENDED, GONE]


@pytest.mark.parametrize("messages", [[GONE], [BEGUN, GONE]])
async def test_who_leaves_within_the_body_ends_the_request(messages: list[Message]) -> None:
    with pytest.raises(InvalidRequestError):
        await _read(messages)
