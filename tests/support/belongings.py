"""What two users own in tests of who may see what: one thing of each kind, with words that nobody else may read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpx

from contracts.conversations import ConversationCreate, JsonObject, ToolCall
from contracts.ids import new_id
from contracts.runs import RunItemsPut
from history_client import HistoryClient, WorkerHistoryClient
from service_kit.http import create_http_client
from service_kit.service_client import open_service
from tests.integration.task_tools.mcp_client import connect
from tests.support.attachments import attachment
from tests.support.history import claim_one, conversation_put, finish, run_create, tool_widget, user_message
from tests.support.operations import CONTENT, Operation
from tests.support.product import ARCHIVE, Product
from tests.support.sql import rows_of

SCHEMAS = ("history", "tasks")


@dataclass(frozen=True)
class Belongings:
    """A user's things: their ids by the names that path parameters have, and the words in them."""

    user_id: str
    ids: Mapping[str, str]
    words: frozenset[str]
    client_secret: str
    """Of a ChatKit session."""

    @property
    def secrets(self) -> frozenset[str]:
        """Everything by which these things could be recognised in an answer to somebody else."""
        return self.words | frozenset(self.ids.values())

    def known(self, operation: Operation) -> JsonObject:
        """Return members of bodies, by name, that mean these things."""
        conversation_id, path = self.ids["conversation_id"], operation.path
        item = user_message(conversation_id, item_id=self.ids["item_id"] if "{item_id}" in path else None)
        file_id = self.ids["attachment_id"] if "{attachment_id}" in path else new_id("atc")
        openai_item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        return {
            "attempt": 1,
            "payload": attachment(id=file_id, conversation_id=conversation_id) if "attachments" in path else item,
            "size_bytes": len(CONTENT),
            "item": item,
            "items": [{"payload": item}] if path.startswith("/runs/") else [openai_item],
            "item_ids": [self.ids["item_id"]],
            "conversation": conversation_put(conversation_id).model_dump(mode="json"),
            "id": new_id("run") if path.endswith("/runs") else conversation_id,
            "conversation_id": conversation_id,
            "thread_id": conversation_id,
            "item_id": self.ids["item_id"],
            "run_id": self.ids["run_id"],
            "attachment_id": self.ids["attachment_id"],
            "attachments": [self.ids["attachment_id"]],
            "task_id": self.ids["task_id"],
            "after": self.ids["item_id"],
            "content": [{"type": "input_text", "text": "Hello"}],
            "action": {"type": "run.resume"},
        }


async def store_belongings(product: Product, user_id: str, *, ended: bool = False) -> Belongings:
    """Store a conversation with a run in progress, a tool call in it, a judged message, a file and a task.

    With `ended`, the run is over, so that no worker goes on with it.
    """
    marks = {
        name: f"{name}-of-{user_id}-{new_id('msg')}" for name in ("title", "text", "answer", "file", "task", "note")
    }
    async with open_service(product.url("history-service")) as service:
        user = HistoryClient(service, product.keys.signer(ARCHIVE)).as_user(user_id)
        conversation_id = new_id("thr")
        created = await user.create_run(conversation_id, run_create(conversation_id, marks["text"], new=True))
        assert created.item is not None
        worker = WorkerHistoryClient(service, product.keys.signer("agent-worker"))
        claim = await claim_one(worker, "worker-1")
        assert claim is not None
        assert claim.run.id == created.run.id
        call = ToolCall(id="call_1", name="add_task", arguments={}, output=marks["answer"], status="completed")
        put = RunItemsPut(attempt=claim.run.attempt, items=[tool_widget(conversation_id, call)])
        await worker.put_run_items(claim.run.id, put, token=claim.token)
        if ended:
            await worker.finish_run(claim.run.id, finish(claim.run.attempt), token=claim.token)
        file = await user.create_attachment(attachment(marks["file"], conversation_id), len(marks["file"]))
        await user.upload_attachment(file.id, marks["file"].encode())
        await user.put_feedback(conversation_id, [created.item["id"]], "positive")
        await user.create_conversation(ConversationCreate(title=marks["title"]), idempotency_key="kept")
    async with connect(product.url("task-tools")) as tools:
        added = await tools.call(
            claim.token, "add_task", f"{claim.run.id}:c", title=marks["task"], description=marks["note"]
        )
    session = await _open_session(product, user_id)
    ids = {
        "user_id": user_id,
        "conversation_id": conversation_id,
        "item_id": created.item["id"],
        "run_id": created.run.id,
        "attachment_id": file.id,
        "task_id": added.task["id"],
        "session_id": session["session_id"],
    }
    return Belongings(user_id, ids, frozenset({*marks.values(), session["client_secret"]}), session["client_secret"])


async def _open_session(product: Product, user_id: str) -> JsonObject:
    headers = {"Authorization": f"Bearer {product.keys.public_token(user_id)}"}
    async with create_http_client(product.url("gateway")) as http:
        return (await http.post(f"/api/{user_id}/chatkit/session", headers=headers)).raise_for_status().json()


async def rows_of_others(url: str, user_id: str) -> dict[str, list[str]]:
    """Return, by table, every row of every schema that is not that user's, as text. `url` is the superuser's."""
    schemas = ", ".join(f"'{name}'" for name in SCHEMAS)
    owned = await rows_of(
        url,
        "SELECT table_schema || '.' || table_name AS name FROM information_schema.columns "  # noqa: S608 - constants
        f"WHERE column_name = 'user_id' AND table_schema IN ({schemas}) ORDER BY 1",
    )
    assert owned, "nothing is anybody's"
    found: dict[str, list[str]] = {}
    for table in (entry["name"] for entry in owned):
        query = f"SELECT t::text AS row FROM {table} t WHERE user_id IS DISTINCT FROM $1 ORDER BY 1"  # noqa: S608
        found[table] = [row["row"] for row in await rows_of(url, query, user_id)]
    return found


def leaks(response: httpx.Response, secrets: Iterable[str]) -> list[str]:
    """Return which of the words stand in an answer's head or body."""
    told = "\n".join([*response.headers.values(), response.content.decode("utf-8", "replace")])
    return [word for word in secrets if word in told]
