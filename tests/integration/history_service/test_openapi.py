"""Schemathesis: whatever the running service is asked, it answers as its OpenAPI document says, never with 5xx."""

import asyncio
import copy
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
from schemathesis import Case, GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from contracts.conversations import JsonObject
from contracts.ids import new_id
from contracts.runs import Claim
from history_service.app import create_app
from history_service.settings import Settings
from service_kit.http import create_http_client
from service_kit.openapi import operations
from tests.integration.history_service.conftest import History
from tests.integration.history_service.operations import Operation, operations_of, token_for
from tests.support.history import conversation_put, run_create, user_message
from tests.support.servers import serve

SEED = 3
USER = "alice"
USED_UP = ("/finish", "/cancel", "/release")
"""After these a run is not what it was."""
CONTENT = b"abc"
AnyCase = Case[Any]
CHECKS: list[Any] = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
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
        # Without the scheme, schemathesis would leave out the token every now and then; there are other tests for that.
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
            case.validate_response(response, checks=CHECKS)
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
        claim = await self.history.worker.claim_run("worker-1")
        assert claim is not None
        return claim

    def wait(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        future: Future[Answer] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result()


def attachment(attachment_id: str) -> JsonObject:
    return {"id": attachment_id, "type": "file", "name": "notes.txt", "mime_type": "text/plain"}


OPENAI_MESSAGE: JsonObject = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


@pytest.fixture
async def fuzzer(settings: Settings) -> AsyncGenerator[Fuzzer]:
    # Each preparation leaves a run in progress.
    app = create_app(settings.model_copy(update={"run_queue_limit_per_user": 1_000_000}))
    async with serve(app) as url, create_http_client(url) as http:
        yield Fuzzer(url, History(http), app.openapi(), asyncio.get_running_loop())


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
