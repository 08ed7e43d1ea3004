"""The Agents SDK's own session class, unmodified, keeps its conversation here; ChatKit shows the same."""

from typing import Any

import pytest
from agents import Agent, RunConfig, Runner, TResponseInputItem, function_tool
from agents.memory import OpenAIConversationsSession
from agents.testing import ScriptedModel
from openai import AsyncOpenAI, NotFoundError

from contracts.conversations import JsonObject, ToolCall
from history_client import UserHistory
from tests.support.history import assistant_message, conversation_put, tool_widget, user_message
from tests.support.models import calls, says
from tests.support.thread_items import thread_item

UNTRACED = RunConfig(tracing_disabled=True)


@function_tool
def add_task(title: str) -> str:
    """Add a task."""
    return f"added {title}"


@function_tool
def list_tasks() -> str:
    """List the tasks."""
    raise RuntimeError("the list is away")


async def ask(session: OpenAIConversationsSession, text: str, *steps: Any) -> ScriptedModel:
    """Have one turn of a scripted agent, and return its model."""
    model = ScriptedModel(steps)
    agent: Agent[Any] = Agent(name="todo", model=model, tools=[add_task, list_tasks])
    anything: Any = session  # to the SDK's own protocol, its class has a property where an attribute should be
    await Runner.run(agent, text, session=anything, run_config=UNTRACED)
    model.assert_complete()
    return model


def outline(items: Any) -> list[tuple[str, str]]:
    """What a list of OpenAI items says, without ids."""
    return [
        (entry["type"], entry["output"])
        if entry["type"] == "function_call_output"
        else (entry["type"], entry["arguments"])
        if entry["type"] == "function_call"
        else (entry["role"], entry["content"][0]["text"])
        for entry in items
    ]


def badge(widget: JsonObject) -> str:
    return widget["widget"]["children"][0]["children"][-1]["label"]


THREE_TURNS = [
    ("user", "Add milk"),
    ("function_call", '{"title": "milk"}'),
    ("function_call_output", "added milk"),
    ("assistant", "Milk is on the list."),
    ("user", "Add bread and show all"),
    ("function_call", '{"title": "bread"}'),
    ("function_call", "{}"),
    ("function_call_output", "added bread"),
    ("function_call_output", "An error occurred while running the tool. Please try again."),
    ("assistant", "Bread is there, but I cannot show the list."),
    ("user", "Thanks"),
    ("assistant", "You are welcome."),
]


async def three_turns(session: OpenAIConversationsSession) -> ScriptedModel:
    await ask(session, "Add milk", [calls("add_task", "call_1", title="milk")], [says("Milk is on the list.")])
    await ask(
        session,
        "Add bread and show all",
        [calls("add_task", "call_2", title="bread"), calls("list_tasks", "call_3")],
        [says("Bread is there, but I cannot show the list.")],
    )
    return await ask(session, "Thanks", [says("You are welcome.")])


async def test_a_conversation_over_three_turns_with_tool_calls(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    session = OpenAIConversationsSession(openai_client=alice_openai)
    last = await three_turns(session)

    assert outline(await session.get_items()) == THREE_TURNS
    assert last.last_call is not None
    seen: Any = last.last_call.input
    assert outline(seen[:-1]) == THREE_TURNS[:-2], "what the model is told in the third turn"

    items = (await alice.list_items(session.session_id)).data
    assert [thread_item(item).type for item in items] == [
        "user_message", "widget", "assistant_message",
        "user_message", "widget", "widget", "assistant_message",
        "user_message", "assistant_message",
    ]  # fmt: skip
    assert [badge(item) for item in items if item["type"] == "widget"] == ["Success", "Success", "Failed"]
    said = [item["content"][0]["text"] for item in items if item["type"] != "widget"]
    assert said == [text for kind, text in THREE_TURNS if kind in ("user", "assistant")]


async def test_the_messages_of_a_session_tell_its_tool_calls(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    session = OpenAIConversationsSession(openai_client=alice_openai)
    await three_turns(session)
    messages = (await alice.list_messages(session.session_id)).data
    assert [message.role for message in messages if message.role == "user"] == ["user"] * 3
    called = [call for message in messages for call in message.tool_calls]
    assert called[0] == ToolCall(
        id="call_1", name="add_task", arguments={"title": "milk"}, output="added milk", status="completed"
    )
    assert [(call.name, call.status) for call in called[1:]] == [("add_task", "completed"), ("list_tasks", "failed")]


async def test_a_session_goes_on_with_what_was_said_in_chatkit(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    thread = await alice.put_conversation(conversation_put())
    call = ToolCall(id="call_1", name="add_task", arguments={"title": "milk"}, output="added milk", status="completed")
    widget = tool_widget(thread.id, call, "tc_1")
    for payload, tool_calls in (
        (user_message(thread.id, "Add milk"), []),
        (widget.payload, widget.tool_calls),
        (assistant_message(thread.id, "Milk is on the list."), []),
    ):
        await alice.put_item(thread.id, payload["id"], payload, tool_calls)

    session = OpenAIConversationsSession(conversation_id=thread.id, openai_client=alice_openai)
    model = await ask(session, "Thanks", [says("You are welcome.")])
    assert model.last_call is not None
    seen: Any = model.last_call.input
    assert outline(seen[:-1]) == THREE_TURNS[:4]
    assert [item["type"] for item in (await alice.list_items(thread.id)).data] == [
        "user_message", "widget", "assistant_message", "user_message", "assistant_message",
    ]  # fmt: skip


def numbered(count: int) -> list[TResponseInputItem]:
    return [{"role": "user", "content": str(number)} for number in range(count)]


async def test_more_than_twenty_items_at_once(alice_openai: AsyncOpenAI) -> None:
    session = OpenAIConversationsSession(openai_client=alice_openai)
    await session.add_items(numbered(53))
    said = [text for _, text in outline(await session.get_items())]
    assert said == [str(number) for number in range(53)]
    for limit in (1, 19, 20, 21, 40, 52, 53, 99):
        assert [text for _, text in outline(await session.get_items(limit))] == said[-limit:]
    assert await session.get_items(0) == []


async def test_popping_takes_back_the_newest_item(alice_openai: AsyncOpenAI, alice: UserHistory) -> None:
    session = OpenAIConversationsSession(openai_client=alice_openai)
    assert await session.pop_item() is None
    await ask(session, "Add milk", [calls("add_task", "call_1", title="milk")], [says("Done.")])
    popped = [await session.pop_item() for _ in range(2)]
    assert outline(popped) == [("assistant", "Done."), ("function_call_output", "added milk")]

    widget = (await alice.list_items(session.session_id)).data[-1]
    assert badge(widget) == "Running", "the call has no result any more"
    (message,) = [message for message in (await alice.list_messages(session.session_id)).data if message.tool_calls]
    assert (message.tool_calls[0].output, message.tool_calls[0].status) == (None, "in_progress")

    assert outline([await session.pop_item(), await session.pop_item()]) == list(reversed(THREE_TURNS[:2]))
    assert await session.pop_item() is None
    assert (await alice.list_items(session.session_id, include_hidden=True)).data == []


async def test_clearing_deletes_the_conversation(alice_openai: AsyncOpenAI) -> None:
    session = OpenAIConversationsSession(openai_client=alice_openai)
    await session.add_items(numbered(3))
    cleared = session.session_id
    await session.clear_session()
    with pytest.raises(NotFoundError):
        await alice_openai.conversations.retrieve(cleared)
    assert await session.get_items() == []
    assert session.session_id != cleared, "a session that goes on begins a new conversation"
