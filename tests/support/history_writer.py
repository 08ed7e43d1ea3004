"""A program that appends to conversations: one of several that do so at the same time.

Reads JSON lines: first `{"url", "key"}`, then for each round `{"user_id", "conversation_id", "tasks"}`, where a task is
a list of `[item id, text]`. The tasks of a round run at the same time. Answers each round with one line: in place of
each item the code of its refusal, or null.
"""

import asyncio
import json
import sys
from typing import Any

from contracts.conversations import JsonObject
from history_client import HistoryClient, HistoryError, UserHistory
from service_kit.internal_tokens import TokenSigner
from service_kit.service_client import open_service
from tests.support.history import user_message

CREATED_AT = "2026-11-01T12:00:00+00:00"


async def append_all(history: UserHistory, conversation_id: str, items: list[tuple[str, str]]) -> list[str | None]:
    """Append the items one after the other."""
    answers: list[str | None] = []
    for item_id, text in items:
        payload: JsonObject = user_message(conversation_id, text, item_id) | {"created_at": CREATED_AT}
        try:
            await history.append_item(conversation_id, payload)
            answers.append(None)
        except HistoryError as error:
            answers.append(error.code)
    return answers


async def write(setup: dict[str, Any]) -> None:
    """Do the rounds until the input ends."""
    async with open_service(setup["url"]) as service:
        client = HistoryClient(service, TokenSigner("chat-service", setup["key"]))
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted = json.loads(line)
            history = client.as_user(wanted["user_id"])
            tasks = (append_all(history, wanted["conversation_id"], items) for items in wanted["tasks"])
            sys.stdout.write(json.dumps(await asyncio.gather(*tasks)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(json.loads(sys.stdin.readline())))
