"""Schemathesis: whatever the running service is asked, it answers as its OpenAPI document says, never with 5xx."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, given, seed, settings
from hypothesis import strategies as st
from schemathesis import checks

from contracts.conversations import JsonObject
from contracts.ids import new_id
from contracts.runs import Claim
from history_service.app import create_app
from history_service.settings import Settings
from tests.integration.history_service.conftest import History, history_at
from tests.integration.history_service.operations import Operation, operations_of, token_for
from tests.support.fuzzing import CHECKS, AnyCase, ApiFuzzer, check_everything
from tests.support.history import claim_one, conversation_put, run_create, user_message
from tests.support.servers import serve

SEED = 3
USER = "alice"
USED_UP = ("/finish", "/cancel", "/release")
"""After these a run is not what it was."""
CONTENT = b"abc"


@dataclass
class Fuzzer(ApiFuzzer[Operation]):
    """Asks the service as somebody who may do everything."""

    url: str
    history: History
    told: JsonObject

    @property
    def document(self) -> JsonObject:
        return self.told

    @property
    def operations(self) -> Sequence[Operation]:
        return list(operations_of(self.told))

    def ask(self, operation: Operation, any_case: Any, configured: settings) -> None:
        @seed(SEED)
        @configured
        @given(case=any_case, about_ours=st.sampled_from(["both", "both", "both", "ids", "body", "neither"]))
        def send(case: AnyCase, about_ours: str) -> None:
            if about_ours in {"ids", "both"}:
                self.name_ours(case)
            if about_ours in {"body", "both"}:
                self.mean_something(case)
            assume("/" not in "".join(str(value) for value in case.path_parameters.values()))
            token = token_for(operation.scope, USER, self.ids["run_id"])
            response = case.call(self.url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
            self.statuses[operation.name, response.status_code] += 1
            case.validate_response(response, checks=[*CHECKS, checks.not_a_server_error])
            if response.status_code < 300 and (operation.method == "DELETE" or operation.path.endswith(USED_UP)):
                self.prepare()

        send()

    def name_ours(self, case: AnyCase) -> None:
        """Put ids of things that exist where the request names things."""
        for name in case.path_parameters.keys() & self.ids.keys():
            case.path_parameters[name] = self.ids[name]
        if "after" in case.query:
            case.query["after"] = self.ids["item_id"]

    def mean_something(self, case: AnyCase) -> None:
        """Fill members whose content no schema can tell."""
        if case.media_type == "application/octet-stream":
            case.body = CONTENT
        if not isinstance(case.body, dict):
            return
        path, conversation_id = case.operation.path, self.ids["conversation_id"]
        item = user_message(conversation_id, item_id=self.ids["item_id"] if "{item_id}" in path else None)
        file = attachment(self.ids["attachment_id"] if "{attachment_id}" in path else new_id("atc"))
        meant: JsonObject = {
            "attempt": 1,
            "payload": file if path.startswith("/attachments") else item,
            "size_bytes": len(CONTENT),
            "item": item,
            "item_ids": [self.ids["item_id"]],
            "items": [{"payload": item} if path.startswith("/runs/") else OPENAI_MESSAGE],
            "conversation": conversation_put(conversation_id).model_dump(mode="json"),
            "id": conversation_id if path.endswith("_id}") else new_id("run"),
        }
        for name in case.body.keys() & meant.keys():
            case.body[name] = meant[name]

    def prepare(self) -> None:
        """Store a conversation with an item and a run in progress, and a file."""
        alice = self.history.user(USER)
        conversation_id, attachment_id = new_id("thr"), new_id("atc")
        new = run_create(conversation_id, new=True)
        created = self.wait(alice.create_run(conversation_id, new))
        assert created.item is not None
        self.wait(alice.create_attachment(attachment(attachment_id), len(CONTENT)))
        self.wait(alice.upload_attachment(attachment_id, CONTENT))
        while self.wait(self.claim()).run.id != new.id:
            pass
        self.ids = {
            "conversation_id": conversation_id,
            "item_id": created.item["id"],
            "run_id": new.id,
            "attachment_id": attachment_id,
            "user_id": USER,
        }

    async def claim(self) -> Claim:
        claim = await claim_one(self.history.worker, "worker-1")
        assert claim is not None
        return claim


def attachment(attachment_id: str) -> JsonObject:
    return {"id": attachment_id, "type": "file", "name": "notes.txt", "mime_type": "text/plain"}


OPENAI_MESSAGE: JsonObject = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


@pytest.fixture
async def fuzzer(settings: Settings) -> AsyncGenerator[Fuzzer]:
    # Each preparation leaves a run in progress.
    app = create_app(settings.model_copy(update={"run_queue_limit_per_user": 1_000_000}))
    async with serve(app) as url, history_at(url) as history:
        yield Fuzzer(asyncio.get_running_loop(), url, history, app.openapi())


async def test_every_answer_is_as_documented(
    fuzzer: Fuzzer, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    await check_everything(fuzzer, pytestconfig, capsys)
