"""Schemathesis: whatever the running service is asked, it answers as its OpenAPI document says, never with 5xx."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contracts.conversations import JsonObject
from contracts.ids import new_id
from contracts.runs import Claim
from history_service.app import create_app
from history_service.settings import Settings
from service_kit.http import create_http_client
from tests.integration.history_service.conftest import History
from tests.integration.history_service.operations import Operation, operations_of, token_for
from tests.support.history import conversation_put, run_create, user_message
from tests.support.servers import serve

SEED = 3
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
Answer = TypeVar("Answer")


@dataclass
class Fuzzer:
    """Asks the service from a thread, about things that exist as often as not."""

    url: str
    history: History
    document: JsonObject
    loop: asyncio.AbstractEventLoop
    ids: dict[str, str] = field(default_factory=dict[str, str])
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])

    def ask_everything(self, cases: int) -> list[str]:
        """Send `cases` requests to each operation and return what was not as documented."""
        schema = schemathesis.openapi.from_dict(self.document)
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
            suppress_health_check=list(HealthCheck),
        )
        @given(case=any_case, about_ours=st.sampled_from(["ids", "body", "both", "neither"]))
        def send(case: Case, about_ours: str) -> None:
            if about_ours in {"ids", "both"}:
                self.name_ours(case)
            if about_ours in {"body", "both"}:
                self.mean_something(case)
            assume("/" not in "".join(str(value) for value in case.path_parameters.values()))
            case.headers = {name: value for name, value in case.headers.items() if name.lower() != "authorization"}
            token = token_for(operation.scope, "alice", self.ids["run_id"])
            response = case.call(self.url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
            self.statuses[operation.name, response.status_code] += 1
            case.validate_response(response, checks=CHECKS)
            if response.status_code < 300 and operation.method != "GET":
                self.prepare()

        send()

    def name_ours(self, case: Case) -> None:
        """Put ids of things that exist where the request names things."""
        for name in case.path_parameters.keys() & self.ids.keys():
            case.path_parameters[name] = self.ids[name]
        if "after" in case.query:
            case.query["after"] = self.ids["item_id"]

    def mean_something(self, case: Case) -> None:
        """Fill members whose content no schema can tell."""
        if not isinstance(case.body, dict):
            return
        conversation_id = self.ids["conversation_id"]
        item = user_message(conversation_id)
        listed = {"payload": item} if "/runs/" in case.operation.path else OPENAI_MESSAGE
        meant: JsonObject = {
            "attempt": 1,
            "payload": item,
            "item": item,
            "items": [listed],
            "conversation": conversation_put(conversation_id).model_dump(mode="json"),
            "id": conversation_id if case.operation.path.endswith("_id}") else new_id("run"),
        }
        for name in case.body.keys() & meant.keys():
            case.body[name] = meant[name]

    def prepare(self) -> None:
        """Store a conversation with an item and a run in progress."""
        conversation_id = new_id("thr")
        new = run_create(conversation_id, new=True)
        created = self.wait(self.history.user("alice").create_run(conversation_id, new))
        assert created.item is not None
        while self.wait(self.claim()).run.id != new.id:
            pass
        self.ids = {"conversation_id": conversation_id, "item_id": created.item["id"], "run_id": new.id}

    async def claim(self) -> Claim:
        claim = await self.history.worker.claim_run("worker-1")
        assert claim is not None
        return claim

    def wait(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        future: Future[Answer] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result()


OPENAI_MESSAGE: JsonObject = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


@pytest.fixture
async def fuzzer(settings: Settings) -> AsyncGenerator[Fuzzer]:
    app = create_app(settings)
    async with serve(app) as url, create_http_client(url) as http:
        yield Fuzzer(url, History(http), app.openapi(), asyncio.get_running_loop())


async def test_every_answer_is_as_documented(
    fuzzer: Fuzzer, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = await asyncio.to_thread(fuzzer.ask_everything, pytestconfig.getoption("fuzz_cases"))
    answered = {name for name, status in fuzzer.statuses if status < 300}
    names = {operation.name for operation in operations_of(fuzzer.document)}
    by_status = Counter[int]()
    for (_, status), count in fuzzer.statuses.items():
        by_status[status] += count
    with capsys.disabled():
        sys.stdout.write(f"\n{by_status.total()} cases, {len(names)} operations, {dict(sorted(by_status.items()))}\n")
    assert not failures, "\n".join(failures)
    assert names - answered == set(), "no request to these operations was a good one"
