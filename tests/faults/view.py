"""What a page shows of a conversation: events applied as the page applies them. Pure."""

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from contracts.frames import Cursor, parse_cursor

Json = dict[str, Any]


@dataclass(frozen=True)
class WireEvent:
    """A server-sent event. `about_run` tells run frames from ChatKit events; those without a cursor are in no log."""

    cursor: Cursor | None
    about_run: bool
    data: Json


class EventParser:
    """Cuts a response into events, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[WireEvent]:
        """Yield the events that are complete now."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        for block in blocks:
            lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
            fields = dict(line.split(b": ", 1) for line in lines)
            if b"data" in fields:
                cursor = parse_cursor(fields[b"id"]) if b"id" in fields else None
                yield WireEvent(cursor, fields.get(b"event") == b"run", json.loads(fields[b"data"]))


@dataclass
class View:
    """A page's items, oldest first by arrival, and what was wrong with what it was told."""

    items: dict[str, Json] = field(default_factory=dict[str, Json])
    thread_id: str | None = None
    wrongs: list[str] = field(default_factory=list[str])
    besides: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    """Texts that began before another one had been withdrawn, with the time."""
    _open_texts: set[str] = field(default_factory=set[str])

    def show(self, items: list[Json], thread_id: str) -> None:
        """Replace everything by a fresh snapshot."""
        self.items = {item["id"]: item for item in items}
        self.thread_id = thread_id
        self._open_texts.clear()

    def apply(self, event: Json) -> None:
        """Change as `event` says; kinds that change no item are ignored."""
        match event["type"]:
            case "thread.created":
                self.thread_id = event["thread"]["id"]
            case "thread.item.added":
                self._begin(event["item"])
            case "thread.item.done":
                self._finish(event["item"])
            case "thread.item.removed":
                self.items.pop(event["item_id"], None)
                self._open_texts.discard(event["item_id"])
            case "thread.item.updated":
                self._update(event["item_id"], event["update"])
            case _:
                pass

    def end(self) -> None:
        """Drop the texts that a run has ended without: nobody will finish them."""
        for item_id in self._open_texts:
            self.items.pop(item_id, None)
        self._open_texts.clear()

    def _begin(self, item: Json) -> None:
        """Take a new item. One text is spoken at a time: that of a dead attempt must have been withdrawn."""
        if item["type"] == "assistant_message":
            if self._open_texts - {item["id"]}:
                what = f"{item['id']} began beside {sorted(self._open_texts)}"
                self.besides.append((time.time(), what))
            self._open_texts.add(item["id"])
        self.items[item["id"]] = copy.deepcopy(item)

    def _finish(self, item: Json) -> None:
        """Take an item's final state, which what was shown so far must lead to."""
        self._check(item["id"], _text_of(item))
        self._open_texts.discard(item["id"])
        self.items[item["id"]] = copy.deepcopy(item)

    def _check(self, item_id: str, final: str) -> None:
        """Note a text that is not what the shown beginning led to expect."""
        shown = _text_of(self.items.get(item_id))
        if not final.startswith(shown):
            self.wrongs.append(f"{item_id} was shown as “…{shown[-40:]}” and is “…{final[-40:]}”")

    def _update(self, item_id: str, update: Json) -> None:
        item = self.items.get(item_id)
        if item is None:
            self.wrongs.append(f"an update of {item_id}, which is not there")
            return
        kind: str = update["type"]
        if kind == "widget.root.updated":
            item["widget"] = update["widget"]
        elif kind.startswith("assistant_message.content_part."):
            content = cast("list[Json]", item["content"])
            while len(content) <= update["content_index"]:
                content.append({"type": "output_text", "text": "", "annotations": []})
            if kind.endswith("text_delta"):
                content[update["content_index"]]["text"] += update["delta"]
            else:
                self._check(item_id, update["content"]["text"] if kind.endswith("done") else _text_of(item))
                content[update["content_index"]] = dict(update["content"])


def _text_of(item: Json | None) -> str:
    """Return the text of an assistant message; of anything else, none."""
    if item is None or item["type"] != "assistant_message":
        return ""
    return "".join(part["text"] for part in item["content"])
