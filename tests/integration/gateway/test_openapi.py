"""Schemathesis: whatever the gateway is asked, before the real services, it answers as documented, never 5xx."""

import asyncio
import copy
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from contracts.conversations import JsonObject
from contracts.ids import new_id
from history_client import HistoryClient
from service_kit.http import create_http_client
from service_kit.openapi import operations
from tests.support.history import run_create
from tests.support.operations import Operation, operations_of
from tests.support.postgres import PostgresServer
from tests.support.product import Product, migrate, running_product, running_worker

SEED = 5
USER = "alice"
AnyCase = Case[Any]
CHECKS: list[Any] = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
NOT_SUPPORTED = 501
"""Parts of ChatKit's protocol that are not offered: a documented answer, and the only 5xx that may come."""

Answer = TypeVar("Answer")


@dataclass
class Fuzzer:
    """Asks the gateway from a thread, as a user who is signed in, about things that exist as often as not."""

    product: Product
    loop: asyncio.AbstractEventLoop
    ids: dict[str, str] = field(default_factory=dict[str, str])
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])

    @property
    def document(self) -> JsonObject:
        return self.product.faces["gateway"].document

    def ask_everything(self, cases: int) -> list[str]:
        """Send `cases` requests to each operation and return what was not as documented."""
        # Without the schemes, schemathesis would leave out the token now and then, as other tests do.
        document = copy.deepcopy(self.document)
        for _, _, operation in operations(document):
            operation.pop("security", None)
        schema = schemathesis.openapi.from_dict(document)
        failures: list[str] = []
        for operation in operations_of(self.document):
            self.prepare()
            try:
                self.ask(operation, schema[operation.path][operation.method], cases)
            except BaseExceptionGroup as group:
                failures.append(f"{operation.name}: {group.exceptions}")
            except AssertionError as error:
                failures.append(f"{operation.name}: {error}")
        return failures

    def ask(self, operation: Operation, generated: Any, cases: int) -> None:
        """Send generated requests to one operation. Raises what schemathesis finds."""
        any_case = generated.as_strategy(GenerationMode.POSITIVE) | generated.as_strategy(GenerationMode.NEGATIVE)

        @seed(SEED)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        )
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
        async with create_http_client(self.product.url("history-service")) as http:
            user = HistoryClient(http, keys.signer("chat-service")).as_user(USER)
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

    def wait(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


@pytest.fixture
async def fuzzer(postgres: PostgresServer, redis_url: str, tmp_path: Path) -> AsyncGenerator[Fuzzer]:
    url = await postgres.create_database(await postgres.template("history-and-tasks", migrate))
    async with running_product(url, redis_url, tmp_path) as product, running_worker(product):
        yield Fuzzer(product, asyncio.get_running_loop())
    await postgres.drop_database(url)


async def test_every_answer_is_as_documented(
    fuzzer: Fuzzer, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = await asyncio.to_thread(fuzzer.ask_everything, int(str(pytestconfig.getoption("fuzz_cases"))))
    answered = {name for name, status in fuzzer.statuses if status < 300}
    names = {operation.name for operation in operations_of(fuzzer.document)}
    by_status = Counter[int]()
    for (_, status), count in fuzzer.statuses.items():
        by_status[status] += count
    with capsys.disabled():
        sys.stdout.write(f"\n{by_status.total()} cases, {len(names)} operations, {dict(sorted(by_status.items()))}\n")
    assert not failures, "\n".join(failures)
    assert names - answered == set(), "no request to these operations was a good one"
