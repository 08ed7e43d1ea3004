"""ChatKit's store over the history-service, where others change what a request is about."""

from typing import Any

import pytest

from chat_service.store import HistoryStore
from contracts.conversations import ConversationPatch
from contracts.ids import new_id
from history_client import HistoryNotFoundError, UserHistory
from tests.integration.chat_service.system import System
from tests.integration.chat_service.test_chat import start_thread
from tests.integration.chat_service.test_requests import code_of, put_widget


class Meanwhile:
    """What another does while a request that has loaded its thread goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, history: UserHistory) -> None:
        self._monkeypatch = monkeypatch
        self._history = history

    def let(self, name: str, *arguments: Any) -> None:
        """Call this of the history after the thread was loaded."""
        load_thread = HistoryStore.load_thread

        async def load(store: HistoryStore, thread_id: str, context: Any) -> Any:
            thread = await load_thread(store, thread_id, context)
            await getattr(self._history, name)(thread_id, *arguments)
            return thread

        self._monkeypatch.setattr(HistoryStore, "load_thread", load)


@pytest.fixture
def meanwhile(system: System, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Another who is as fast."""
    return Meanwhile(monkeypatch, system.history_of())


async def test_a_thread_that_is_deleted_while_it_is_renamed_stays_deleted(system: System, meanwhile: Meanwhile) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    meanwhile.let("delete_conversation")
    renamed = await user.post("threads.update", thread_id=thread_id, title="Groceries")
    assert code_of(renamed) == (404, "conversation_not_found")
    with pytest.raises(HistoryNotFoundError):
        await system.history_of().get_conversation(thread_id)


async def test_renaming_takes_back_nothing_that_another_has_changed(system: System, meanwhile: Meanwhile) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    changed = ConversationPatch(status={"type": "locked", "reason": "archived"}, metadata={"of": "another"})
    meanwhile.let("patch_conversation", changed)
    assert (await user.post("threads.update", thread_id=thread_id, title="Groceries")).json()["title"] == "Groceries"
    stored = await system.history_of().get_conversation(thread_id)
    assert (stored.title, stored.status, stored.metadata) == ("Groceries", changed.status, changed.metadata)


async def test_an_item_that_chatkit_cannot_read_hides_no_other(system: System) -> None:
    user = system.user()
    thread_id, _ = await start_thread(system, user)
    bad = {"id": new_id("msg"), "thread_id": thread_id, "created_at": "2026-11-01T10:00:00Z", "type": "widget"}
    await system.history_of().append_item(thread_id, bad)
    widget_id = await put_widget(system, thread_id)
    newest = (await user.post("items.list", thread_id=thread_id, limit=2)).json()
    older = (await user.post("items.list", thread_id=thread_id, after=newest["after"])).json()
    assert [item["id"] for item in newest["data"]] == [widget_id]
    assert [item["type"] for item in older["data"]] == ["assistant_message", "user_message"]
    thread = (await user.post("threads.get_by_id", thread_id=thread_id)).json()
    assert thread["items"]["data"] == [*reversed(older["data"]), *newest["data"]]
    retried = await user.post("threads.retry_after_item", thread_id=thread_id, item_id=bad["id"])
    assert code_of(retried) == (409, "item_conflict")


async def test_a_retry_does_not_search_the_whole_thread(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    user = system.user()
    thread_id, message_id = await start_thread(system, user)
    for _ in range(21):  # more than a page
        await put_widget(system, thread_id)
    pages: list[str] = []
    list_items = UserHistory.list_items

    async def count(history: UserHistory, conversation_id: str, **query: Any) -> Any:
        pages.append(conversation_id)
        return await list_items(history, conversation_id, **query)

    monkeypatch.setattr(UserHistory, "list_items", count)
    unknown = await user.post("threads.retry_after_item", thread_id=thread_id, item_id=new_id("msg"))
    assert code_of(unknown) == (404, "item_not_found")
    async with user.stream("threads.retry_after_item", thread_id=thread_id, item_id=message_id) as chat:
        await chat.read_until(b"stream_options")
    assert pages == []
    monkeypatch.undo()
    assert [item["id"] for item in (await system.history_of().list_items(thread_id)).data] == [message_id]
