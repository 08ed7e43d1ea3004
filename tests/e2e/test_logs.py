"""What the logs of all processes hold of a conversation: ids and names of events, no text, no token, no secret."""

import json
from collections.abc import Iterator, Mapping
from typing import cast
from uuid import uuid4

import httpx
import pytest

from tests.support.chatkit import ChatKitClient
from tests.support.servers import eventually
from tests.support.system import System

JWT_BEGINNING = "eyJ"
"""Base64url of `{"`: every token begins with it."""


@pytest.fixture
def marker() -> str:
    """A word that is nowhere but in what this test says."""
    return f"marker{uuid4().hex}"


def leaves(value: object) -> Iterator[str]:
    """Yield all texts in a JSON value."""
    if isinstance(value, Mapping):
        for entry in cast(Mapping[str, object], value).values():
            yield from leaves(entry)
    elif isinstance(value, str):
        yield value


def logged(system: System) -> dict[str, str]:
    """Return what was printed, and what stands in the log file of each process."""
    files = {path.name: path.read_text(errors="replace") for path in (system.data_dir / "logs").glob("*.log")}
    return {"output": system.output, **files}


async def converse(http: httpx.AsyncClient, user_id: str, marker: str) -> str:
    """Say things that succeed and things that fail; returns the id of the last run."""
    chat = ChatKitClient(http, user_id)
    async with chat.say(f"Add a task to {marker}") as answer:
        await answer.to_the_end()
    assert marker in answer.text
    async with chat.say(f"Delete unknown {marker}", answer.thread_id) as failed:
        await failed.to_the_end()
    assert failed.badges() == ["Running", "Failed"]
    renamed = await http.patch(f"/api/{user_id}/conversations/{answer.thread_id}", json={"title": marker})
    assert renamed.status_code == 200
    found = await http.get(f"/api/{user_id}/conversations/search", params={"q": marker})
    assert found.json()["data"], found.text
    return failed.run_id


async def provoke(http: httpx.AsyncClient, user_id: str, marker: str, token: str) -> None:
    """Send what is refused by the gateway, the chat-service and the services behind."""
    base = f"/api/{user_id}"
    forged = {"Authorization": f"Bearer {token[:-8]}{marker[-8:]}"}
    assert (await http.get(f"{base}/tasks", headers=forged)).status_code == 401
    for path, body in (("/chatkit", {"type": marker}), ("/tasks", {"title": [marker]})):
        assert (await http.post(f"{base}{path}", json=body)).status_code == 422
    assert (await http.get(f"{base}/conversations", params={"after": marker})).status_code == 422


async def test_logs_hold_no_text_no_token_and_no_secret(system: System, user_id: str, marker: str) -> None:
    token = system.token(user_id)
    async with system.client(None) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        run_id = await converse(http, user_id, marker)
        await provoke(http, user_id, marker, token)
        session = (await http.post(f"/api/{user_id}/chatkit/session")).json()
        mine = {"Authorization": f"Bearer {session['client_secret']}"}
        assert (await http.get(f"/api/{user_id}/runs/{run_id}", headers=mine)).status_code == 200

    await eventually(lambda: run_id in system.output, what="the run is in the logs")
    secrets = [system.auth_secret, *leaves(json.loads((system.data_dir / "secrets.json").read_text()))]
    forbidden = [marker, token, token.rpartition(".")[2], session["client_secret"], JWT_BEGINNING, "Bearer ", *secrets]
    for name, text in logged(system).items():
        held = [value[:12] for value in forbidden if value in text]
        assert not held, f"{name} holds {held}"
