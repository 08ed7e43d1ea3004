"""Schemathesis: whatever the gateway is asked, before the real services, it answers as documented, never 5xx."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, seed, settings
from hypothesis import strategies as st
from schemathesis import checks

from contracts.conversations import JsonObject
from contracts.ids import new_id
from history_client import HistoryClient
from service_kit.http import create_http_client
from service_kit.service_client import open_service
from tests.support.fuzzing import CHECKS, AnyCase, ApiFuzzer, check_everything
from tests.support.history import run_create
from tests.support.operations import Operation, operations_of
from tests.support.postgres import PostgresServer
from tests.support.product import Product, migrate, running_product, running_worker

SEED = 5
USER = "alice"
NOT_SUPPORTED = 501
"""Parts of ChatKit's protocol that are not offered: a documented answer, and the only 5xx that may come."""


@dataclass
class Fuzzer(ApiFuzzer[Operation]):
    """Asks the gateway as a user who is signed in."""

    product: Product

    @property
    def document(self) -> JsonObject:
        return self.product.faces["gateway"].document

    @property
    def operations(self) -> Sequence[Operation]:
        return list(operations_of(self.document))

    def ask(self, operation: Operation, any_case: Any, configured: settings) -> None:
        @seed(SEED)
        @configured
        @given(
            case=any_case,
            ours=st.sampled_from(["all", "all", "all", "user", "none"]),
            sense=st.sampled_from([*self.chatkit_requests(), None]),
        )
        def send(case: AnyCase, ours: str, sense: JsonObject | None) -> None:
            self.name_ours(case, ours)
            if sense is not None and operation.path.endswith("/chatkit"):
                case.body = sense
            assume("/" not in "".join(str(value) for value in case.path_parameters.values()))
            headers = {"Authorization": f"Bearer {self.product.keys.public_token(USER)}"}
            response = case.call(self.product.url("gateway"), headers=headers, timeout=10)
            self.statuses[operation.name, response.status_code] += 1
            if response.status_code == 404 and response.json()["code"] == "route_not_found":
                return  # an id that cannot be one makes no path of ours
            case.validate_response(response, checks=CHECKS)
            if response.status_code != NOT_SUPPORTED:
                case.validate_response(response, checks=[checks.not_a_server_error])
            if response.status_code < 300 and operation.method == "DELETE":
                self.prepare()

        send()

    def name_ours(self, case: AnyCase, ours: str) -> None:
        """Put ids of things that exist where the request names things: all, or the user's alone, or none."""
        named = {"all": self.ids.keys(), "user": {"user_id"}, "none": set[str]()}[ours]
        for name in case.path_parameters.keys() & named:
            case.path_parameters[name] = self.ids[name]
        if "after" in case.query and ours == "all":
            case.query["after"] = self.ids["task_id" if "/tasks" in case.operation.path else "item_id"]

    def chatkit_requests(self) -> list[JsonObject]:
        """Return requests of ChatKit's: no schema of the gateway's tells them."""
        message: JsonObject = {
            "content": [{"type": "input_text", "text": "Hello"}],
            "attachments": [],
            "inference_options": {},
        }
        thread = {"thread_id": self.ids["conversation_id"]}
        return [
            {"type": "threads.list", "params": {}},
            {"type": "threads.create", "params": {"input": message}},
            {"type": "threads.get_by_id", "params": thread},
            {"type": "items.list", "params": thread},
            {"type": "threads.update", "params": {**thread, "title": "x"}},
            {"type": "items.feedback", "params": {**thread, "item_ids": [self.ids["item_id"]], "kind": "positive"}},
            {"type": "threads.delete", "params": {"thread_id": new_id("thr")}},
            {"type": "input.transcribe", "params": {"audio_base64": "", "mime_type": "audio/wav"}},
        ]

    def prepare(self) -> None:
        """Store a conversation with a message and a run that has ended, and a task."""
        self.ids = self.wait(self._prepare())

    async def _prepare(self) -> dict[str, str]:
        keys, conversation_id = self.product.keys, new_id("thr")
        async with open_service(self.product.url("history-service")) as service:
            user = HistoryClient(service, keys.signer("chat-service")).as_user(USER)
            created = await user.create_run(conversation_id, run_create(conversation_id, new=True))
            await user.cancel_run(created.run.id)
        assert created.item is not None
        token = keys.signer("gateway").sign("task-tools", ["tasks"], user_id=USER)
        async with create_http_client(self.product.url("task-tools")) as http:
            task = await http.post("/tasks", json={"title": "x"}, headers={"Authorization": f"Bearer {token}"})
        return {
            "user_id": USER,
            "conversation_id": conversation_id,
            "item_id": created.item["id"],
            "run_id": created.run.id,
            "task_id": task.raise_for_status().json()["id"],
        }


@pytest.fixture
async def fuzzer(postgres: PostgresServer, redis_url: str, tmp_path: Path) -> AsyncGenerator[Fuzzer]:
    url = await postgres.create_database(await postgres.template("history-and-tasks", migrate))
    async with running_product(url, redis_url, tmp_path) as product, running_worker(product):
        yield Fuzzer(asyncio.get_running_loop(), product)
    await postgres.drop_database(url)


async def test_every_answer_is_as_documented(
    fuzzer: Fuzzer, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    await check_everything(fuzzer, pytestconfig, capsys)
