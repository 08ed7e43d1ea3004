"""A database that is asleep, starting, silent, or gone at the worst moment: as Neon's is, and as networks are."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from contracts.conversations import ConversationCreate
from history_client import HistoryNotFoundError, HistoryUnavailableError, UserHistory
from history_service.app import create_app
from history_service.settings import Settings
from service_kit.service_client import open_service
from tests.integration.history_service.conftest import migrate_url
from tests.integration.history_service.programs import log_of, ready, users_of
from tests.support.gate import Gate, Loss, gate_before
from tests.support.history import conversation_put, user_message
from tests.support.servers import eventually, serve

WAKE_SECONDS = 10.0
SHORT_SECONDS = 0.3


@pytest.fixture
async def gate(database_url: str) -> AsyncGenerator[Gate]:
    async with gate_before(database_url) as closed:
        yield closed


@pytest.fixture
def settings(settings: Settings, gate: Gate) -> Settings:
    return settings.model_copy(
        update={"database_url": SecretStr(gate.url), "database_wake_seconds": WAKE_SECONDS, "database_pool_size": 2}
    )


@pytest.fixture
async def alice(settings: Settings) -> AsyncGenerator[UserHistory]:
    async with serve(create_app(settings)) as url, open_service(url) as service:
        yield users_of(service, "alice")


async def test_a_database_that_wakes_in_time_is_waited_for(alice: UserHistory, gate: Gate) -> None:
    with capture_logs() as logs:

        def met(error: str) -> bool:
            return any(entry["event"] == "database_awaited" and entry["error"] == error for entry in logs)

        answer = asyncio.create_task(alice.put_conversation(conversation_put("thr_1")))
        await eventually(lambda: met("ConnectionRefusedError"), what="nothing listens")
        await gate.refuse("57P03")
        await eventually(lambda: met("CannotConnectNowError"), what="the database says that it starts")
        await gate.open()
        assert (await answer).id == "thr_1"
    assert [one.id for one in (await alice.list_conversations()).data] == ["thr_1"]


async def test_migrations_wait_for_it_too(gate: Gate) -> None:
    with capture_logs() as logs:
        migrating = asyncio.create_task(migrate_url(gate.url))
        await eventually(lambda: any(entry["event"] == "database_awaited" for entry in logs), what="a second try")
        await gate.open()
        await migrating
    assert logs[-1]["event"] == "schema_migrated"


async def test_a_connection_that_hangs_is_tried_again(settings: Settings, gate: Gate) -> None:
    """Neon's proxy holds a connection while the database wakes: also beyond the time for one attempt."""
    await gate.fall_silent()
    brief = settings.model_copy(update={"database_connect_timeout_seconds": SHORT_SECONDS})
    async with serve(create_app(brief)) as url, open_service(url) as service:
        with capture_logs() as logs:
            answer = asyncio.create_task(users_of(service, "alice").put_conversation(conversation_put("thr_1")))
            await eventually(lambda: any(entry["event"] == "database_awaited" for entry in logs), what="a second try")
            await gate.open()
            assert (await answer).id == "thr_1"


@pytest.mark.parametrize("conduct", ["closed", "57P03", "53300", "XX000", "silent"])
async def test_a_database_that_stays_away_is_503_in_time(conduct: str, settings: Settings, gate: Gate) -> None:
    """XX000 is what Neon's proxy says, whatever its reason."""
    if conduct == "silent":
        await gate.fall_silent()
    elif conduct != "closed":
        await gate.refuse(conduct)
    limits = {"database_wake_seconds": 2 * SHORT_SECONDS, "database_pool_timeout_seconds": SHORT_SECONDS}
    impatient = settings.model_copy(update=limits)
    async with serve(create_app(impatient)) as url, open_service(url) as service:
        began = time.monotonic()
        with pytest.raises(HistoryUnavailableError, match="upstream_unavailable") as error:
            await users_of(service, "alice").list_conversations()
        assert error.value.status == 503
        # The settings' own limits are 5 s and more; what is above those of this test is room for a busy machine.
        assert time.monotonic() - began < 3 * SHORT_SECONDS + 3
        answer = await service.request("GET", "/readyz")
        assert (answer.status, json.loads(answer.content)["down"]) == (503, ["postgres"])
        await gate.open()
        await ready(service)
        assert (await users_of(service, "alice").list_conversations()).data == []


async def test_an_idle_connection_that_died_unnoticed_is_replaced(settings: Settings, gate: Gate) -> None:
    """Its peer is gone and nothing says so: a network in between has forgotten it."""
    await gate.open()
    # One more for each sweeper, which may be waiting for an answer that will not come.
    brief = settings.model_copy(update={"database_pool_timeout_seconds": SHORT_SECONDS, "database_pool_size": 4})
    async with serve(create_app(brief)) as url, open_service(url) as service:
        alice = users_of(service, "alice")
        await asyncio.gather(*(alice.list_conversations() for _ in range(4)))
        gate.forget()
        assert (await alice.put_conversation(conversation_put("thr_1"))).id == "thr_1"


@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_lost_commit_is_told_as_unknown_and_can_be_repeated(loss: Loss, alice: UserHistory, gate: Gate) -> None:
    await gate.open()
    await alice.put_conversation(conversation_put("thr_1"))
    item = user_message("thr_1", "once", "msg_1")
    gate.lose(b"COMMIT", loss, after=b"msg_1")
    with pytest.raises(HistoryUnavailableError, match="outcome_unknown") as error:
        await alice.put_item("thr_1", "msg_1", item)
    assert error.value.status == 503
    assert gate.has_lost
    assert len(await log_of(alice, "thr_1")) == (1 if loss == "answer" else 0), "both happen, and look the same"
    assert await alice.put_item("thr_1", "msg_1", item) == item
    assert await log_of(alice, "thr_1") == [(1, "msg_1", "once")]


@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_create_of_unknown_outcome_is_repeated_under_its_key(
    loss: Loss, alice: UserHistory, gate: Gate
) -> None:
    await gate.open()
    gate.lose(b"COMMIT", loss, after=b"A title")
    create = ConversationCreate(title="A title")
    with pytest.raises(HistoryUnavailableError, match="outcome_unknown"):
        await alice.create_conversation(create, idempotency_key="key-1")
    made = await alice.create_conversation(create, idempotency_key="key-1")
    assert [one.id for one in (await alice.list_conversations()).data] == [made.id]


@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_lost_statement_has_changed_nothing(loss: Loss, alice: UserHistory, gate: Gate) -> None:
    await gate.open()
    await alice.put_conversation(conversation_put("thr_1"))
    gate.lose(b"msg_1", loss)
    with pytest.raises(HistoryUnavailableError, match="upstream_unavailable"):
        await alice.put_item("thr_1", "msg_1", user_message("thr_1", "never", "msg_1"))
    assert gate.has_lost
    with pytest.raises(HistoryNotFoundError):
        await alice.get_item("thr_1", "msg_1")
    other = user_message("thr_1", "first", "msg_2")
    await alice.put_item("thr_1", "msg_2", other)
    assert await log_of(alice, "thr_1") == [(1, "msg_2", "first")]


async def test_a_lost_beginning_is_repeated(alice: UserHistory, gate: Gate) -> None:
    await gate.open()
    await alice.put_conversation(conversation_put("thr_1"))
    gate.lose(b"alice", "request")
    assert (await alice.get_conversation("thr_1")).id == "thr_1"
    assert gate.has_lost
