"""Turns what the model does into stored items and published events of one attempt.

A model response is stored as a whole: its text together with the intents of its tool calls, before any of them is
executed. The last response, which calls no tools, is stored together with the run's end. Nothing is published as done
before it is stored.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from agents.items import TResponseOutputItem
from mcp.types import CallToolResult, TextContent
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from agent_worker import events
from agent_worker.run_log import RunLog
from contracts.conversations import ItemPut, JsonObject, MessageStatus, ToolCall
from contracts.ids import new_id

CANCELLED_OUTPUT = "The run ended before the tool answered; whether it had an effect is not known."
BAD_ARGUMENTS_OUTPUT = "The arguments are not a JSON object that can be kept."
UNKNOWN_TOOL_OUTPUT = "There is no such tool."
REPEATED_CALL_OUTPUT = "Another call has this id."

MAX_ARGUMENTS_LENGTH = 200_000
MAX_ARGUMENTS_DEPTH = 32
"""Far more than a tool takes, and less than the history-service refuses in a request (413, 422)."""

Store = Callable[[list[ItemPut]], Awaitable[None]]
"""Stores items under the run's fence, or raises."""

Execute = Callable[[ToolCall], Awaitable[ToolCall]]
"""Executes a call and returns it with its output and final status."""


class ResponseTooLongError(Exception):
    """The model says more in one response than is stored."""


@dataclass
class _Text:
    """An assistant message that is being streamed."""

    item_id: str
    parts: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        return "".join(self.parts)


class Recorder:
    """Records one attempt. Not shared between attempts or runs."""

    def __init__(
        self,
        thread_id: str,
        log: RunLog,
        store: Store,
        execute: Execute,
        *,
        max_chars: int,
        on_model_asked: Callable[[], None] = lambda: None,
    ) -> None:
        """`max_chars` bounds a response; see `Settings.run_response_max_chars`."""
        self._thread_id = thread_id
        self._log = log
        self._store = store
        self._execute = execute
        self._on_model_asked = on_model_asked
        self._max_chars = max_chars
        self._chars_left = max_chars
        self._texts: dict[int, _Text] = {}
        self._calls: dict[str, tuple[str, ToolCall]] = {}
        self._unshown: list[str] = []
        self._begun: set[str] = set()
        self.done_calls: set[str] = set()
        """Items of the tool calls that were shown as done."""
        self.tools: Mapping[str, bool] = {}
        """Names of the known tools, each with whether it only reads."""

    def model_asked(self) -> None:
        """The model is asked for a response."""
        self._chars_left = self._max_chars
        self._on_model_asked()

    @property
    def has_answer(self) -> bool:
        """Whether the model has said or called anything."""
        return bool(self._texts or self._calls)

    def text_delta(self, output_index: int, delta: str) -> None:
        """The model says more in the message at `output_index` of its response.

        Raises ResponseTooLongError when it has taken as much as there is room for.
        """
        if not delta:
            return
        message = self._texts.get(output_index)
        if message is None:
            message = self._start_text(output_index)
        text = _writable(delta[: self._chars_left])
        message.parts.append(text)
        self._log.append_text(message.item_id, text)
        if len(delta) > self._chars_left:
            raise ResponseTooLongError
        self._chars_left -= len(delta)

    async def response_completed(self, output: Sequence[TResponseOutputItem]) -> None:
        """Take in a whole model response; if it calls tools, store its text and their intents.

        Raises ResponseTooLongError and what storing raises.
        """
        for index, item in enumerate(output):
            if isinstance(item, ResponseOutputMessage) and index not in self._texts and (text := _text_of(item)):
                self.text_delta(index, text)
        calls = [item for item in output if isinstance(item, ResponseFunctionToolCall)]
        if not calls:
            return
        recorded = [(new_id("msg"), call) for call in _with_ids_of_their_own(map(self._intent, calls))]
        puts = [*self._text_puts(), *(self._call_put(item_id, call) for item_id, call in recorded)]
        if sum(len(put.model_dump_json()) for put in puts) > self._max_chars:
            raise ResponseTooLongError
        self._calls.update({call.id: (item_id, call) for item_id, call in reversed(recorded)})
        await self._store(puts)
        self._publish_texts()
        for item_id, call in recorded:
            self._log.append(events.item_added(events.tool_item(item_id, self._thread_id, call)))
            self._begun.add(item_id)
            if call.status != "in_progress":
                self._publish_result(item_id, call)

    async def run_call(self, call_id: str) -> CallToolResult:
        """Execute a call whose intent is recorded, store its result, then show it."""
        item_id, call = self._calls[call_id]
        if call.status == "in_progress":
            call = await self._execute(call)
            await self._store([self._call_put(item_id, call)])
            self._calls[call_id] = (item_id, call)
            self._publish_result(item_id, call)
        content = TextContent(type="text", text=call.output or "")
        return CallToolResult(content=[content], is_error=call.status == "failed")

    async def resume_call(self, item_id: str, call: ToolCall) -> ToolCall:
        """Execute a call whose intent an earlier attempt recorded; returns it with its result."""
        self._calls[call.id] = (item_id, call)
        self._begun.add(item_id)
        await self.run_call(call.id)
        return self._calls[call.id][1]

    def last_items(self, status: MessageStatus) -> list[ItemPut]:
        """Return what the run's end stores: the answer, with this status, and tool calls that got no result."""
        for call_id, (item_id, call) in self._calls.items():
            if call.status == "in_progress":
                failed = call.model_copy(update={"status": "failed", "output": CANCELLED_OUTPUT})
                self._calls[call_id] = (item_id, failed)
                self._unshown.append(call_id)
        return [*self._text_puts(status), *(self._call_put(*self._calls[call_id]) for call_id in self._unshown)]

    def publish_last_items(self) -> None:
        """Show as done what `last_items` returned, now that it is stored."""
        self._publish_texts()
        while self._unshown:
            self._publish_result(*self._calls[self._unshown.pop(0)])

    def _publish_texts(self) -> None:
        """Show the streamed messages as done."""
        for message in self._texts.values():
            item = events.assistant_item(message.item_id, self._thread_id, message.text)
            self._log.append(events.text_finished(message.item_id, message.text), events.item_done(item))
        self._texts.clear()

    def _start_text(self, output_index: int) -> _Text:
        message = self._texts[output_index] = _Text(new_id("msg"))
        empty = events.assistant_item(message.item_id, self._thread_id, None)
        self._log.append(events.item_added(empty), events.text_started(message.item_id))
        return message

    def _intent(self, item: ResponseFunctionToolCall) -> ToolCall:
        """Return the call as it is recorded; one that cannot be executed is recorded as failed."""
        call_id, name, arguments = _writable(item.call_id), _writable(item.name), _arguments_of(item)
        if name not in self.tools:
            return ToolCall(id=call_id, name=name, output=UNKNOWN_TOOL_OUTPUT, status="failed")
        if arguments is None:
            return ToolCall(id=call_id, name=name, output=BAD_ARGUMENTS_OUTPUT, status="failed")
        return ToolCall(id=call_id, name=name, arguments=arguments)

    def _text_puts(self, status: MessageStatus = "completed") -> list[ItemPut]:
        return [
            ItemPut(payload=events.assistant_item(message.item_id, self._thread_id, message.text), status=status)
            for message in self._texts.values()
        ]

    def _call_put(self, item_id: str, call: ToolCall) -> ItemPut:
        return ItemPut(payload=events.tool_item(item_id, self._thread_id, call), tool_calls=[call])

    def _publish_result(self, item_id: str, call: ToolCall) -> None:
        item = events.tool_item(item_id, self._thread_id, call)
        self.done_calls.add(item_id)
        if item_id in self._begun:
            self._log.append(events.widget_updated(item_id, item["widget"]))
        self._log.append(events.item_done(item))
        if call.status == "completed" and not self.tools.get(call.name, False):
            self._log.append(events.client_effect(events.TASKS_CHANGED_EFFECT, {"tool": call.name}))


def _with_ids_of_their_own(calls: Iterable[ToolCall]) -> Iterator[ToolCall]:
    """Yield the calls of a response; the result of an id is the first call's, so another one with it has failed."""
    known: set[str] = set()
    for call in calls:
        repeated = {"output": REPEATED_CALL_OUTPUT, "status": "failed"}
        yield call.model_copy(update=repeated) if call.id in known else call
        known.add(call.id)


def _writable(text: str) -> str:
    """Return text that can be kept: half a surrogate pair or a NUL, as some models send, becomes a question mark."""
    text = text.replace("\0", "?")
    return text if text.isascii() else text.encode(errors="replace").decode()


def _text_of(message: ResponseOutputMessage) -> str:
    return "".join(part.text if isinstance(part, ResponseOutputText) else part.refusal for part in message.content)


def _arguments_of(call: ResponseFunctionToolCall) -> JsonObject | None:
    """Return the arguments that the model wrote, or None if they are not a JSON object that can be kept."""
    if len(call.arguments) > MAX_ARGUMENTS_LENGTH:
        return None
    try:
        value = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return cast("JsonObject", value) if isinstance(value, dict) and _is_storable(cast("object", value)) else None


def _is_storable(value: object, depth: int = 1) -> bool:
    """Tell whether JSON can be kept: its texts are writable, and it is not nested too deep."""
    if depth > MAX_ARGUMENTS_DEPTH:
        return False
    if isinstance(value, str):
        return _writable(value) == value
    if isinstance(value, dict):
        members = cast("JsonObject", value)
        return all(_is_storable(part, depth + 1) for pair in members.items() for part in pair)
    if isinstance(value, list):
        return all(_is_storable(part, depth + 1) for part in cast("list[object]", value))
    return True
