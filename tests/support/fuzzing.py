"""Generated requests to every operation of a document: what is the same for each service."""

import asyncio
import copy
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from contracts.conversations import JsonObject
from service_kit.openapi import operations

AnyCase = Case[Any]
CHECKS: list[Any] = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
"""That an answer is one of those that the document tells."""

Answer = TypeVar("Answer")


class Documented(Protocol):
    """An operation of a document."""

    @property
    def name(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


Operation = TypeVar("Operation", bound=Documented)


@dataclass
class ApiFuzzer(ABC, Generic[Operation]):
    """Asks a service from a thread, about things that exist as often as not. `loop` is the rest of the test's."""

    loop: asyncio.AbstractEventLoop
    ids: dict[str, str] = field(default_factory=dict[str, str], init=False)
    """Of things that exist, by the names of parameters; `prepare` makes them anew."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]], init=False)

    @property
    @abstractmethod
    def document(self) -> JsonObject:
        """The service's OpenAPI document."""

    @property
    @abstractmethod
    def operations(self) -> Sequence[Operation]:
        """What is asked."""

    @abstractmethod
    def prepare(self) -> None:
        """Make things that exist, and note their ids."""

    @abstractmethod
    def ask(self, operation: Operation, any_case: Any, configured: settings) -> None:
        """Send generated requests (a strategy of cases) to one operation. Raises what schemathesis finds."""

    def ask_everything(self, cases: int) -> list[str]:
        """Send `cases` requests to each operation and return what was not as documented."""
        # Without the schemes, schemathesis would leave out the token now and then; there are other tests for that.
        document = copy.deepcopy(self.document)
        for _, _, told in operations(document):
            told.pop("security", None)
        schema: Any = schemathesis.openapi.from_dict(document)
        failures: list[str] = []
        for operation in self.operations:
            generated = schema[operation.path][operation.method]
            any_case = generated.as_strategy(GenerationMode.POSITIVE) | generated.as_strategy(GenerationMode.NEGATIVE)
            self.prepare()
            try:
                self.ask(operation, any_case, _settings(cases))
            except BaseExceptionGroup as group:
                failures.append(f"{operation.name}: {group.exceptions}")
            except AssertionError as error:
                failures.append(f"{operation.name}: {error}")
        return failures

    def wait(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Have the test's loop carry it out."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


def _settings(cases: int) -> settings:
    return settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


async def check_everything(fuzzer: ApiFuzzer[Any], config: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that every answer is as documented, and that each operation was asked something good."""
    failures = await asyncio.to_thread(fuzzer.ask_everything, int(str(config.getoption("fuzz_cases"))))
    answered = {name for name, status in fuzzer.statuses if status < 300}
    names = {operation.name for operation in fuzzer.operations}
    by_status = Counter[int]()
    for (_, status), count in fuzzer.statuses.items():
        by_status[status] += count
    with capsys.disabled():
        sys.stdout.write(f"\n{by_status.total()} cases, {len(names)} operations, {dict(sorted(by_status.items()))}\n")
    assert not failures, "\n".join(failures)
    assert names - answered == set(), "no request to these operations was a good one"
