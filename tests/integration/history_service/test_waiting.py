"""Requests that meet on one conversation wait for each other, and never in a circle."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contracts.conversations import JsonObject, ToolCall
from contracts.ids import new_id
from contracts.runs import Claim, RunCreate, RunCreated
from history_client import HistoryConflictError, HistoryNotFoundError, UserHistory, WorkerHistoryClient
from launcher.sql import connected
from tests.support.history import (
    assistant_message,
    claim_one,
    conversation_put,
    finish,
    item,
    items_put,
    run_create,
    tool_widget,
    user_message,
)
from tests.support.servers import eventually

CALL = ToolCall(id="call_1", name="add_task")
LOCK_ITEM = "SELECT 1 FROM history.messages WHERE conversation_id = $1 AND id = $2 FOR UPDATE"
LOCK_RUNS_OF_ALICE = "SELECT pg_advisory_xact_lock(hashtextextended('threadkeep runs of alice', 0))"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def meet(admin_url: str, first: Awaitable[Any], second: Awaitable[Any], lock: str, *of: str) -> list[Any]:
    """Let one request wait for a lock and the other one come meanwhile; gives what both answer."""
    async with blocked(admin_url, lock, *of) as observe:
        one = asyncio.ensure_future(first)
        await eventually(lambda: observe(1), what="the first request waits")
        other = asyncio.ensure_future(second)
        await eventually(lambda: observe(2), what="both requests wait")
    return list(await asyncio.gather(one, other, return_exceptions=True))


@asynccontextmanager
async def blocked(admin_url: str, lock: str, *of: str) -> AsyncGenerator[Any]:
    """Hold a lock until the block is left; gives what tells whether so many wait."""
    async with connected(admin_url) as holder, connected(admin_url) as observer:

        async def is_waiting(count: int) -> bool:
            return await observer.fetchval(WAITING) == count

        await holder.execute("BEGIN")
        await holder.execute(lock, *of)
        yield is_waiting
        await holder.execute("ROLLBACK")


async def answering(alice: UserHistory, worker: WorkerHistoryClient) -> tuple[Claim, JsonObject]:
    """A run that has stored a tool call, and the message that it answers."""
    conversation_id = new_id("thr")
    created = await alice.create_run(conversation_id, run_create(conversation_id, new=True))
    claim = await claim_one(worker)
    assert claim is not None
    assert created.item is not None
    await worker.put_run_items(
        claim.run.id, items_put(claim.run.attempt, tool_widget(conversation_id, CALL, "tc_1")), token=claim.token
    )
    return claim, created.item


def retry_of(message: JsonObject) -> RunCreate:
    return RunCreate(id=new_id("run"), retry_after=message["id"])


async def test_a_run_ends_while_its_message_is_tried_again(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    claim, message = await answering(alice, worker)
    conversation_id = claim.conversation.id
    done = tool_widget(conversation_id, CALL.model_copy(update={"output": "done", "status": "completed"}), "tc_1")
    ended, again = await meet(
        admin_database_url,
        worker.finish_run(
            claim.run.id, finish(claim.run.attempt, done, assistant_message(conversation_id)), token=claim.token
        ),
        alice.create_run(conversation_id, retry_of(message)),
        *(LOCK_ITEM, conversation_id, "tc_1"),
    )
    assert (ended.status, again.run.status) == ("completed", "queued")
    assert (await alice.list_items(conversation_id)).data == [message], "all that followed it is deleted"


async def test_a_run_is_cancelled_while_its_message_is_tried_again(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    claim, message = await answering(alice, worker)
    await worker.release_run(claim.run.id, claim.run.attempt)
    cancelled, again = await meet(
        admin_database_url,
        alice.cancel_run(claim.run.id),
        alice.create_run(claim.conversation.id, retry_of(message)),
        *(LOCK_ITEM, claim.conversation.id, "tc_1"),
    )
    assert (cancelled.status, again.run.status) == ("cancelled", "queued")


async def test_items_are_judged_while_their_conversation_is_deleted(
    alice: UserHistory, admin_database_url: str
) -> None:
    conversation = await alice.put_conversation(conversation_put())
    for item_id in ("msg_1", "msg_2"):
        await alice.append_item(conversation.id, assistant_message(conversation.id, item_id=item_id))
    answers = await meet(
        admin_database_url,
        alice.put_feedback(conversation.id, ["msg_1", "msg_2"], "positive"),
        alice.delete_conversation(conversation.id),
        *(LOCK_ITEM, conversation.id, "msg_2"),
    )
    assert answers == [None, None]
    assert (await alice.list_conversations()).data == []


@pytest.mark.parametrize("says", [True, False])
async def test_one_run_id_in_two_conversations_at_the_same_time(
    alice: UserHistory, admin_database_url: str, *, says: bool
) -> None:
    run_id = new_id("run")
    places = [(await alice.put_conversation(conversation_put())).id for _ in range(2)]
    wanted = [RunCreate(id=run_id, item=user_message(place) if says else None) for place in places]
    first, second = (alice.create_run(place, new) for place, new in zip(places, wanted, strict=True))
    made, refused = await meet(admin_database_url, first, second, LOCK_RUNS_OF_ALICE)
    assert made.run.conversation_id == places[0]
    assert isinstance(refused, HistoryConflictError), "it is the user's own, but in the other conversation"
    assert refused.code == "run_conflict"


async def test_the_output_of_a_clients_tool_is_stored_with_its_run(alice: UserHistory) -> None:
    conversation_id = (await alice.put_conversation(conversation_put())).id
    call = item(conversation_id, "client_tool_call", status="pending", call_id="call_1", name="pick", arguments={})
    one, other = (call | {"status": "completed", "output": output} for output in ("one", "other"))
    with pytest.raises(HistoryNotFoundError):
        await alice.create_run(conversation_id, RunCreate(id=new_id("run"), item=one))
    await alice.append_item(conversation_id, call)
    with pytest.raises(HistoryConflictError):
        await alice.create_run(conversation_id, RunCreate(id=new_id("run"), item=one | {"name": "drop"}))
    wanted = [RunCreate(id="run_1", item=output) for output in (one, one, other)]
    answers = await asyncio.gather(
        *(alice.create_run(conversation_id, each) for each in wanted), return_exceptions=True
    )
    (stored,) = (await alice.list_items(conversation_id)).data
    assert stored in (one, other), "one output has won"
    for new, answer in zip(wanted, answers, strict=True):
        expected = HistoryConflictError if new.item != stored else RunCreated
        assert isinstance(answer, expected)
    assert [run.id for run in (await alice.list_runs(conversation_id)).data] == ["run_1"]
