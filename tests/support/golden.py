"""Golden event frames: what the agent-worker writes and the chat-service passes on, read by the tests of both.

Each file in tests/contract/golden has `frames`, in order: `data` is the event's JSON, `event` is `run` for events about
the run itself. Ids and times stand for any others; `normalized` makes real frames comparable.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from contracts.frames import Cursor, chatkit_frame, run_frame
from tests.support.publisher import to_json

FOLDER = Path(__file__).parent.parent / "contract" / "golden"

_ID = re.compile(r"(thr|msg|tc|run)_[0-9a-f]{32}")

Frame = dict[str, Any]


def golden(name: str) -> list[Frame]:
    """Return the frames of a file."""
    content = json.loads((FOLDER / f"{name}.json").read_text())
    return cast("list[Frame]", content["frames"])


def golden_names() -> list[str]:
    """Return the names of all files."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def parse(stream: bytes) -> list[Frame]:
    """Parse frames as they are on the wire."""
    frames: list[Frame] = []
    for block in stream.split(b"\n\n"):
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":") and line)
        if b"data" in fields:
            kind = {"event": fields[b"event"].decode()} if b"event" in fields else {}
            frames.append({**kind, "data": json.loads(fields[b"data"])})
    return frames


def encode(frames: Sequence[Frame], attempt: int = 1) -> list[bytes]:
    """Return the frames as the worker writes them."""
    return [
        (run_frame if "event" in frame else chatkit_frame)(Cursor(attempt, seq), to_json(frame["data"]))
        for seq, frame in enumerate(frames, 1)
    ]


def normalized(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames with ids numbered in order of appearance and times removed."""
    numbers: dict[str, str] = {}

    def replaced(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {name: replaced(member, name) for name, member in members.items()}
        if isinstance(value, list):
            return [replaced(member) for member in cast("list[Any]", value)]
        if key == "created_at":
            return "<time>"
        if isinstance(value, str) and (match := _ID.fullmatch(value)):
            return numbers.setdefault(value, f"{match[1]}_{len(numbers) + 1}")
        return value

    return [replaced(frame) for frame in frames]
