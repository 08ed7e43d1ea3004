"""The same bad input for every operation there is, those of tomorrow too: a documented 4xx, and nothing changes."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from contracts.ids import new_id
from history_service.app import create_app
from history_service.settings import Settings
from launcher.sql import connected
from tests.integration.history_service.conftest import History, history_at
from tests.integration.history_service.operations import JSON, Operation, operations_of, token_for
from tests.support.history import claim_one, run_create, user_message
from tests.support.servers import serve

BAD_IDS = {
    "NUL": "a%00b",
    "lone surrogate": "%ED%A0%80",
    "not UTF-8": "%FF",
    "astral": "%F0%9F%98%80",
    "space": "a%20b",
    "slash": "a%2Fb",
    "dots": "%2e%2e%2f",
    "newline at the end": "abc%0A",
    "too long": "x" * 129,
    "far too long": "x" * 20_000,
}

BAD_TEXTS = {"NUL": "a%00b", "lone surrogate": "%ED%A0%80", "not UTF-8": "%FF%FE", "endless": "x" * 30_000}
BAD_NUMBERS = {"zero": "0", "negative": "-1", "huge": "1000000000", "400 digits": "9" * 400, "word": "x", "empty": ""}
BAD_WORDS = {"word": "perhaps", "empty": "", "NUL": "%00", "surrogate": "%ED%A0%80"}

NUL_TEXT, SURROGATE_TEXT = "a\\u0000b", "a\\ud800b"

NO_BODIES: dict[str, bytes] = {"nothing": b"", "null": b"null"}
BAD_BODIES: dict[str, bytes] = {
    "a word": b'"x"',
    "a list": b"[]",
    "a number": b"1",
    "half an object": b'{"a":',
    "two objects": b"{}{}",
    "NUL": b"\x00",
    "not UTF-8": b'{"metadata": {"a": "\xff"}}',
    "an encoded surrogate": b'{"metadata": {"a": "\xed\xa0\x80"}}',
    "UTF-16": '{"metadata": {}}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"metadata": {}}',
    "a key twice": b'{"metadata": {"a": "1", "a": "1"}}',
    "a key twice, once escaped": b'{"metadata": {"a": "1", "\\u0061": "2"}}',
    "NUL in a text": f'{{"metadata": {{"a": "{NUL_TEXT}"}}}}'.encode(),
    "NUL in a key": f'{{"metadata": {{"{NUL_TEXT}": 1}}}}'.encode(),
    "lone surrogate": f'{{"metadata": {{"a": "{SURROGATE_TEXT}"}}}}'.encode(),
    "lone surrogate in a key": f'{{"{SURROGATE_TEXT}": 1}}'.encode(),
    "NaN": b'{"metadata": {"a": NaN}}',
    "infinity": b'{"metadata": {"a": -Infinity}}',
    "an exponent too big": b'{"metadata": {"a": 1e999}}',
    "100,000 digits": b'{"metadata": {"a": ' + b"9" * 50_000 + b"}}",
    "65 levels": b'{"metadata": {"a": ' + b"[" * 65 + b"]" * 65 + b"}}",
    "20,000 levels": b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    "20,000 lists": b"[" * 30_000 + b"]" * 30_000,
    "an unknown member": b'{"nobody_knows_this": 1}',
}

OF_EVERY_TYPE: list[Any] = [None, True, -1, 2**80, 1.5, "", "x" * 10_000, "\0", [], [[]], {}, {"": None}]


@dataclass
class Prey:
    """The running service, what is in it, and a client that sends whatever it is told to."""

    history: History
    admin_url: str
    operations: list[Operation]
    ids: dict[str, str]
    foreign_ids: dict[str, str] = field(default_factory=dict[str, str])

    async def send(self, operation: Operation, path: str, user_id: str = "alice", **parts: Any) -> httpx.Response:
        token = token_for(operation.scope, user_id, self.ids["run_id"])
        headers = {"Authorization": f"Bearer {token}", **parts.pop("headers", {})}
        return await self.history.http.request(operation.method, path, headers=headers, **parts)

    @asynccontextmanager
    async def unchanged(self) -> AsyncGenerator[None]:
        """Check that what happens inside leaves every row of every table as it was."""
        before = await self._rows()
        yield
        assert await self._rows() == before

    async def _rows(self) -> dict[str, str]:
        async with connected(self.admin_url) as connection:
            tables = json.loads(
                str(await connection.fetchval("SELECT json_agg(tablename) FROM pg_tables WHERE schemaname = 'history'"))
            )
            return {name: str(await connection.fetchval(CONTENT_OF.format(name))) for name in tables}


CONTENT_OF = "SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM history.\"{}\" t"


@pytest.fixture
async def prey(settings: Settings, admin_database_url: str) -> AsyncGenerator[Prey]:
    app = create_app(settings)
    async with serve(app) as url, history_at(url) as history:
        ids = [await seed(history, user_id) for user_id in ("bob", "alice")]
        claims = [await claim_one(history.worker, f"worker-{number}") for number in range(2)]
        assert all(claims)
        yield Prey(history, admin_database_url, list(operations_of(app.openapi())), ids[1], ids[0])


async def seed(history: History, user_id: str) -> dict[str, str]:
    """Store a conversation with an item and a run, and return their ids by the names of path parameters."""
    conversation_id = new_id("thr")
    created = await history.user(user_id).create_run(conversation_id, run_create(conversation_id, new=True))
    assert created.item is not None
    return {"conversation_id": conversation_id, "item_id": created.item["id"], "run_id": created.run.id}


async def test_bad_ids_in_paths(prey: Prey, subtests: pytest.Subtests) -> None:
    async with prey.unchanged():
        for operation in prey.operations:
            for parameter in operation.parameters("path"):
                for name, bad in BAD_IDS.items():
                    with subtests.test(operation.name, parameter=parameter, id=name):
                        response = await prey.send(operation, operation.path_of(prey.ids, **{parameter: bad}))
                        assert operation.fault_of(response) is None


async def test_unknown_and_foreign_ids(prey: Prey, subtests: pytest.Subtests) -> None:
    async with prey.unchanged():
        for operation in prey.operations:
            if operation.takes_json or not operation.parameters("path"):
                continue
            for whose, ids, expected in (("unknown", {}, {403, 404}), ("foreign", prey.foreign_ids, {403, 404})):
                with subtests.test(operation.name, whose=whose):
                    response = await prey.send(operation, operation.path_of(ids))
                    assert operation.fault_of(response) is None
                    assert response.status_code in expected


async def test_cursors_of_other_lists(prey: Prey, subtests: pytest.Subtests) -> None:
    other = await seed(prey.history, "alice")
    cursors = [*prey.foreign_ids.values(), other["item_id"], "unknown", "a b", "x" * 200, "@", "a@-1", "a@"]
    async with prey.unchanged():
        for operation in prey.operations:
            if "after" in operation.parameters("query"):
                for cursor in cursors:
                    with subtests.test(operation.name, cursor=cursor[:20]):
                        path = operation.path_of(prey.ids)
                        response = await prey.send(operation, path, params={"after": cursor})
                        assert operation.fault_of(response) is None


async def test_bad_queries(prey: Prey, subtests: pytest.Subtests) -> None:
    async with prey.unchanged():
        for operation in prey.operations:
            for parameter in operation.parameters("query"):
                for name, bad in bad_values(operation.schema_of(parameter)).items():
                    with subtests.test(operation.name, parameter=parameter, value=name):
                        path = f"{operation.path_of(prey.ids)}?{parameter}={bad}"
                        assert operation.fault_of(await prey.send(operation, path)) is None


def bad_values(schema: dict[str, Any]) -> dict[str, str]:
    kinds = {part.get("type") for part in (schema, *schema.get("anyOf", ()))}
    if "integer" in kinds or "number" in kinds:
        return BAD_NUMBERS
    return BAD_WORDS if "enum" in schema or "boolean" in kinds else BAD_TEXTS


async def test_bad_bodies(prey: Prey, subtests: pytest.Subtests) -> None:
    async with prey.unchanged():
        for operation in prey.operations:
            if operation.takes_json:
                needed = operation.told["requestBody"].get("required", False)
                for name, body in (BAD_BODIES | (NO_BODIES if needed else {})).items():
                    with subtests.test(operation.name, body=name):
                        path = operation.path_of(prey.ids)
                        response = await prey.send(operation, path, content=body, headers={"Content-Type": JSON})
                        assert operation.fault_of(response) is None


async def test_bodies_of_no_known_type(prey: Prey, subtests: pytest.Subtests) -> None:
    body = json.dumps({"title": "x", "payload": {}, "attempt": 1}).encode()
    types = ["", "text/plain", "application/xml", "application/json; charset=utf-7", "application/jsonx", "x" * 9_000]
    async with prey.unchanged():
        for operation in prey.operations:
            if operation.takes_json and operation.told["requestBody"].get("required"):
                for media_type in types:
                    with subtests.test(operation.name, media_type=media_type[:40]):
                        path = operation.path_of(prey.ids)
                        response = await prey.send(operation, path, content=body, headers={"Content-Type": media_type})
                        assert operation.fault_of(response) is None


async def test_members_of_every_wrong_type(prey: Prey, settings: Settings, subtests: pytest.Subtests) -> None:
    """One member at a time; what is left out makes most of them invalid anyway, what is accepted must not be a 500."""
    schemas = create_app(settings).openapi()["components"]["schemas"]
    for operation in prey.operations:
        if operation.takes_json:
            schema = operation.told["requestBody"]["content"][JSON]["schema"]
            for member in members_of(schema, schemas):
                with subtests.test(operation.name, member=member):
                    for value in OF_EVERY_TYPE:
                        response = await prey.send(operation, operation.path_of(prey.ids), json={member: value})
                        assert response.is_success or operation.fault_of(response) is None, value


def members_of(schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        return members_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    options = schema.get("anyOf", ())
    return [*schema.get("properties", ()), *(name for option in options for name in members_of(option, schemas))]


async def test_bodies_over_the_limit(prey: Prey, settings: Settings, subtests: pytest.Subtests) -> None:
    body = json.dumps(user_message("thr_1", "x" * settings.max_body_bytes)).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 8192):
            yield body[start : start + 8192]

    async with prey.unchanged():
        for operation in prey.operations:
            if operation.takes_json:
                for content in (body, chunks()):
                    with subtests.test(operation.name, said=isinstance(content, bytes)):
                        path = operation.path_of(prey.ids)
                        response = await prey.send(operation, path, content=content, headers={"Content-Type": JSON})
                        assert operation.fault_of(response) is None
                        assert response.status_code == 413


async def test_bad_tokens(prey: Prey, subtests: pytest.Subtests) -> None:
    tokens = [b"", b"Bearer", b"Bearer \xff\xfe", b"Bearer a.b.c", b"Basic x", b"Bearer " + b"x" * 40_000]
    async with prey.unchanged():
        for operation in prey.operations:
            for token in tokens:
                with subtests.test(operation.name, token=token[:12]):
                    headers = [(b"Authorization", token), (b"X-Request-Id", b"\xff" * 10)]
                    response = await prey.history.http.request(
                        operation.method, operation.path_of(prey.ids), headers=headers
                    )
                    assert operation.fault_of(response) is None
                    assert response.status_code == 401


async def test_bad_headers(prey: Prey, subtests: pytest.Subtests) -> None:
    async with prey.unchanged():
        for operation in prey.operations:
            for header in operation.parameters("header"):
                for bad in (b"\xff\xfe", b"x" * 10_000, b"", b"\xf0\x9f\x98\x80", b"a b"):
                    with subtests.test(operation.name, header=header, value=bad[:10]):
                        response = await prey.send(
                            operation, operation.path_of(prey.ids), content=b"[]", headers={header: bad}
                        )
                        assert operation.fault_of(response) is None
