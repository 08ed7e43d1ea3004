"""A page that was loaded anew goes on with the conversation's active run, on any instance."""

from typing import Any

from contracts.ids import new_id
from tests.integration.chat_service.system import StreamedChat, System, User, message
from tests.integration.chat_service.test_requests import code_of, put_widget

RESUME: dict[str, Any] = {"type": "run.resume", "payload": {}}


async def begin(user: User) -> tuple[str, str]:
    """Post a first message and leave; returns the ids of thread and run."""
    async with user.stream("threads.create", input=message("Hello")) as chat:
        await chat.read_until(b"stream_options")
        return chat.events[0]["thread"]["id"], chat.run_id


def answer_of(chat: StreamedChat) -> bytes:
    """Return what follows the SDK's own event."""
    head, _, rest = bytes(chat.received).partition(b"\n\n")
    assert b"stream_options" in head
    return rest


async def test_the_active_run_is_replayed_and_followed_from_another_instance(system: System) -> None:
    thread_id, run_id = await begin(system.user())
    worker = await system.worker.claim()
    await worker.publish({"type": "progress_update", "text": "one"})
    async with system.another_instance() as other:
        resumed = other.user().stream("threads.custom_action", thread_id=thread_id, item_id=None, action=RESUME)
        async with resumed as chat:
            assert chat.run_id == run_id
            await chat.read_until(b'"one"')
            await system.worker.say(run_id, new_id("msg"), "Hi there")
            await system.worker.finish(run_id)
            await chat.read()
    assert answer_of(chat) == b"".join(worker.frames[1:-1])


async def test_the_oldest_of_several_runs_comes_first(system: System) -> None:
    user = system.user()
    thread_id, first_id = await begin(user)
    async with user.stream("threads.add_user_message", thread_id=thread_id, input=message("And?")) as chat:
        await chat.read_until(b"stream_options")
        second_id = chat.run_id
    for run_id in (first_id, second_id):
        async with user.stream("threads.custom_action", thread_id=thread_id, action=RESUME) as chat:
            assert chat.run_id == run_id
            await system.worker.claim()
            await system.worker.finish(run_id)
            await chat.read()


async def test_without_an_active_run_the_stream_ends_at_once(system: System) -> None:
    user = system.user()
    thread_id, run_id = await begin(user)
    await system.worker.claim()
    await system.worker.finish(run_id)
    widget_id = await put_widget(system, thread_id)
    for item_id in (None, widget_id):
        async with user.stream("threads.custom_action", thread_id=thread_id, item_id=item_id, action=RESUME) as chat:
            assert "x-run-id" not in chat.response.headers
            await chat.read()
        assert answer_of(chat) == b""


async def test_it_is_refused_to_others_and_where_nothing_streams(system: System) -> None:
    thread_id, _ = await begin(system.user())
    mallory = await system.user("mallory").post("threads.custom_action", thread_id=thread_id, action=RESUME)
    assert code_of(mallory) == (403, "conversation_forbidden")
    synchronous = await system.user().post("threads.sync_custom_action", thread_id=thread_id, action=RESUME)
    assert code_of(synchronous) == (422, "unknown_action")
