"""Whatever ChatKit calls a thread item comes back as it was sent, down to the order of keys."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from chat_service.context import ChatContext
from chat_service.relay.hub import Hub
from chat_service.services.runs import RunNotices
from chat_service.store import HistoryStore
from contracts.conversations import JsonObject, MessageKind
from contracts.ids import new_id
from history_client import UserHistory
from tests.support.history import conversation_put
from tests.support.thread_items import KINDS, item_payloads, thread_item

FEW = settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
CONVERSATION = "thr_round_trips"


def as_text(payload: JsonObject) -> str:
    """The JSON as text: tells `1` from `1.0`, `-0.0` from `0.0`, and one order of keys from another."""
    return json.dumps(payload)


@pytest.fixture
async def conversation(alice: UserHistory) -> str:
    return (await alice.put_conversation(conversation_put(CONVERSATION))).id


@pytest.fixture
def store() -> HistoryStore:
    return HistoryStore(RunNotices(Redis(), Hub("redis://127.0.0.1")))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@FEW
async def test_items_come_back_exactly(
    alice: UserHistory, conversation: str, kind: MessageKind, data: st.DataObject
) -> None:
    first, second = [data.draw(item_payloads(kind, CONVERSATION, new_id("msg"))) for _ in range(2)]
    assert as_text(await alice.append_item(CONVERSATION, first)) == as_text(first)
    assert as_text(await alice.put_item(CONVERSATION, second["id"], second)) == as_text(second)
    for payload in (first, second):
        assert as_text(await alice.get_item(CONVERSATION, payload["id"])) == as_text(payload)
    newest = await alice.list_items(CONVERSATION, limit=2, order="desc", include_hidden=True)
    assert [as_text(payload) for payload in newest.data] == [as_text(second), as_text(first)]
    assert as_text(await alice.append_item(CONVERSATION, first)) == as_text(first), "the same again changes nothing"


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@FEW
async def test_items_come_back_through_the_chatkit_store(
    alice: UserHistory, conversation: str, store: HistoryStore, kind: MessageKind, data: st.DataObject
) -> None:
    context = ChatContext(alice)
    item = thread_item(data.draw(item_payloads(kind, CONVERSATION, new_id("msg"))))
    await store.save_item(CONVERSATION, item, context)
    loaded = await store.load_item(CONVERSATION, item.id, context)
    newest = await store.load_thread_items(CONVERSATION, None, 1, "desc", context)
    assert bool(newest.data) != ("hidden" in kind), "what is hidden is loaded by its id alone"
    for same in (loaded, *newest.data):
        assert same.model_dump_json() == item.model_dump_json()
