"""The example of docs/internal-api.md, run as it stands there, with a key as `make service-key` prints it."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from contracts.conversations import ConversationCreate
from history_client import HistoryClient, HistoryForbiddenError, HistoryUnauthorizedError
from history_service.app import create_app
from history_service.settings import Settings
from launcher.children import inherited_environment
from launcher.service_keys import service_key
from launcher.settings import parse_dotenv
from launcher.trust import read_service_trust
from service_kit.internal_tokens import TokenSigner
from service_kit.service_client import open_service
from tests.integration.history_service.programs import users_of
from tests.support.servers import serve

DOCUMENT = Path(__file__).parents[3] / "docs" / "internal-api.md"
LONGEST_EXAMPLE_LINES = 35


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    """What `make service-key NAME=reporting SCOPES=conversations:read` printed."""
    return parse_dotenv(service_key({}, "reporting", frozenset({"conversations:read"})))


@pytest.fixture
async def url(settings: Settings, printed: dict[str, str]) -> AsyncGenerator[str]:
    """A history-service that trusts the other service, too."""
    trust = {**settings.internal_trust, **read_service_trust(printed["SERVICE_TRUST"])}
    async with serve(create_app(settings.model_copy(update={"internal_trust": trust}))) as served:
        yield served


async def test_it_runs_and_sees_the_named_user_alone(url: str, printed: dict[str, str], tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(example.splitlines()) <= LONGEST_EXAMPLE_LINES
    program = tmp_path / "reporting.py"
    program.write_text(example)
    async with open_service(url) as service:
        made = [
            await users_of(service, user).create_conversation(ConversationCreate(title=title))
            for user, title in (("alice", "Milk"), ("alice", "Bread"), ("bob", "Secret"))
        ]
    env = {
        **inherited_environment(),
        "HISTORY_URL": url,
        "INTERNAL_SIGNING_KEY": printed["INTERNAL_SIGNING_KEY"],
    }
    run = await asyncio.create_subprocess_exec(
        sys.executable, str(program), "alice", env=env, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await run.communicate()
    assert set(output.decode().splitlines()) == {f"{one.id} {one.title}" for one in made[:2]}


async def test_its_key_opens_nothing_else(url: str, printed: dict[str, str]) -> None:
    async with open_service(url) as service:
        mine = HistoryClient(service, TokenSigner("reporting", printed["INTERNAL_SIGNING_KEY"])).as_user("alice")
        theirs = await users_of(service, "bob").create_conversation(ConversationCreate(title="Secret"))
        with pytest.raises(HistoryForbiddenError):
            await mine.get_conversation(theirs.id)
        # A scope that was not granted makes the token itself invalid.
        with pytest.raises(HistoryUnauthorizedError):
            await mine.create_conversation(ConversationCreate(title="x"))
        with pytest.raises(HistoryUnauthorizedError):
            await mine.delete_user()
        another = TokenSigner("gateway", printed["INTERNAL_SIGNING_KEY"])
        with pytest.raises(HistoryUnauthorizedError):
            await HistoryClient(service, another).as_user("alice").get_conversation(theirs.id)
