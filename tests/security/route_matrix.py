"""What the matrix of routes is made of: who asks for what, the wrong ways to ask, and what is right as an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from contracts.principal import RUNS_ITEMS, RUNS_WATCH, RUNS_WORK, Service
from contracts.problems import PROBLEM_MEDIA_TYPE
from service_kit.requests import REQUEST_ID_HEADER
from tests.support.belongings import Belongings, leaks, rows_of_others
from tests.support.operations import Body, Operation, operations_of
from tests.support.product import ARCHIVE, AUDIENCE, INSIDE, Face, Product, scopes_of

OWNER, OTHER = "user-owner", "user-other"
FACES: tuple[Service, ...] = ("gateway", *INSIDE)

FOR_NOBODY = frozenset({RUNS_WORK, RUNS_WATCH})
"""Scopes of services that act for nobody, or for nobody yet: they learn for whom from the answer."""

UNDOCUMENTED = {"/openapi.json", "/metrics", "/mcp"}
"""The document itself, Prometheus' page of counts, and the MCP server, whose calls carry tokens of their own."""

NAMING = frozenset({"thread_id", "conversation_id", "run_id", "task_id", "item_id", "item_ids", "attachment_id"})
"""Members of bodies by which a request names something that must be there. `attachments` may be ignored."""

SESSIONS = "ChatKitSession"
"""The security scheme of operations that a ChatKit session opens as well."""

NO_JSON = Body({"content": b"{"}, frozenset(), "application/json")

NOT_SUPPORTED = 501
"""Parts of ChatKit's protocol that are not offered."""

NOT_YOURS: Mapping[int, set[str]] = {403: set(), 404: set()}
TRACES = ("Traceback", 'File "', "asyncpg", "sqlalchemy")
"""What an exception that got out would look like."""


@dataclass(frozen=True)
class Scene:
    """The running services, what the owner has, and what the other one has, who asks for it."""

    product: Product
    http: httpx.AsyncClient
    owner: Belongings
    other: Belongings
    admin_url: str
    rows: Mapping[str, list[str]]
    """All rows that are not the other one's, as they were in the beginning."""

    def token(self, face: Face, operation: Operation, holder: Belongings, **changes: Any) -> str:
        """Return a good token of the holder's for the operation; `changes` are made to it."""
        if face.name == "gateway":
            return self.product.keys.public_token(holder.user_id, **changes)
        scope = operation.scope or ""
        values: dict[str, Any] = {"audience": face.name, "scopes": (scope,), "user_id": holder.user_id}
        if scope == RUNS_ITEMS:
            values["run_id"] = holder.ids["run_id"]
        if scope in FOR_NOBODY:
            del values["user_id"]
        return self.product.keys.signer(ARCHIVE).sign(**{**values, **changes})

    async def ask(
        self, face: Face, operation: Operation, ids: Mapping[str, str], body: Body, token: str | None, **query: str
    ) -> httpx.Response:
        """Send a request; of an event stream, read the first piece."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if "content" in body.sent:
            headers["Content-Type"] = body.kind
        url = face.url + operation.path_of(ids)
        params = operation.query_of(ids) | query
        async with self.http.stream(operation.method, url, params=params, headers=headers, **body.sent) as response:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                response._content = await anext(response.aiter_bytes(), b"")  # pyright: ignore[reportPrivateUsage]
            else:
                await response.aread()
            return response

    def faults(
        self, response: httpx.Response, operation: Operation, wanted: Mapping[int, set[str]], way: str = ""
    ) -> list[str]:
        """Say what is wrong with a refusal: `wanted` are statuses, each with the codes that are right, or none."""
        found = [fault_of(response, operation, wanted), told_too_much(response, self.owner.secrets)]
        return [f"{operation.name} {way}: {fault}" for fault in found if fault]

    def told(self, response: httpx.Response, operation: Operation, body: Body, query: Mapping[str, str]) -> list[str]:
        """Say what is wrong with the answer to a request whose body or cursor names the owner's things."""
        sent = f"{body.sent}{query}"
        fault = told_too_much(response, frozenset(word for word in self.owner.secrets if word not in sent))
        if 400 <= response.status_code < 500:
            fault = fault or fault_of(response, operation, {response.status_code: set()})
        if response.status_code >= 500 and response.status_code != NOT_SUPPORTED:
            fault = "an error of ours"
        if body.used & NAMING and response.is_success and operation.tells(404):
            fault = "is carried out"
        name = f"{operation.name} {body.kind} {sorted(body.used)} {dict(query)}"
        return [f"{name}: {fault}: {response.status_code} {response.text[:200]}"] if fault else []

    async def check_unchanged(self) -> None:
        """Check that nothing has become of what is not the other one's: no row, and the owner's ChatKit session."""
        assert await rows_of_others(self.admin_url, OTHER) == self.rows
        url = f"{self.product.url('gateway')}/api/{OWNER}/runs/{self.owner.ids['run_id']}"
        answer = await self.http.get(url, headers={"Authorization": f"Bearer {self.owner.client_secret}"})
        assert answer.status_code == 200, answer.text


def foreign_parts(face: Face, operation: Operation) -> list[set[str]]:
    """Return which path parameters name somebody else's things in a test: all, and each alone."""
    own = {"user_id"} if face.name == "gateway" else set[str]()
    named = set(operation.path_parameters) - own
    return [*([named] if len(named) > 1 else []), *({name} for name in sorted(named))]


def may_succeed(operation: Operation, foreign: set[str]) -> bool:
    """Tell whether a request that names somebody else's things may be carried out, without touching those.

    An id within a conversation is that conversation's affair: the same one elsewhere means another thing. And what
    knows no 404 can be repeated: it says the same of what is not there, and of what is somebody else's.
    """
    return not set(operation.path_parameters) - {"user_id"} <= foreign or not operation.tells(404)


def secured(face: Face) -> list[Operation]:
    return [operation for operation in operations_of(face.document) if not operation.is_open]


def fault_of(response: httpx.Response, operation: Operation, wanted: Mapping[int, set[str]]) -> str | None:
    """Say what is wrong with a refusal as such: its status, its code, its shape, and whether it is documented."""
    status, text = response.status_code, response.text[:300]
    if status not in wanted:
        return f"{status} instead of {sorted(wanted)}: {text}"
    if response.headers["content-type"] == PROBLEM_MEDIA_TYPE:
        problem = response.json()
        code = problem["code"]
        if problem["status"] != status or problem["request_id"] != response.headers[REQUEST_ID_HEADER]:
            return f"no proper problem: {text}"
    elif operation.has_openai_errors:
        code = response.json()["error"]["code"]
    else:
        return f"no problem: {response.headers['content-type']} {text}"
    if not operation.tells(status) or code not in (operation.codes(status) or {code}):
        return f"{status} {code} is not documented"
    if code not in (wanted[status] or {code}):
        return f"{status} {code} instead of {sorted(wanted[status])}"
    if status == 401 and "www-authenticate" not in response.headers:
        return "401 without a challenge"
    return None


def told_too_much(response: httpx.Response, secrets: frozenset[str]) -> str | None:
    """Say what an answer tells that it must not."""
    found = leaks(response, secrets) + leaks(response, TRACES)
    return f"leaks {found}" if found else None


@dataclass(frozen=True)
class Wrong:
    """A wrong way to ask for one's own: how the token is made, and how the request is refused."""

    token: Callable[[Scene, Face, Operation], str | None]
    status: int
    code: str
    at: tuple[Service, ...] = FACES
    fits: Callable[[Operation], bool] = lambda operation: True


def _expired(scene: Scene, face: Face, operation: Operation) -> str:
    good = scene.token(face, operation, scene.owner)
    return scene.product.keys.altered(ARCHIVE, good, iat=1_000_000, exp=1_000_060)


def _without_scope(scene: Scene, face: Face, operation: Operation) -> str:
    scopes = {scope for name in INSIDE for scope in scopes_of(scene.product.faces[name].document)}
    return scene.token(face, operation, scene.owner, scopes=sorted(scopes - {operation.scope}))


def _forged(scene: Scene, face: Face, operation: Operation) -> str:
    return scene.product.keys.forger("gateway").sign(face.name, (operation.scope or "",), user_id=OWNER)


def _internal(scene: Scene, face: Face, operation: Operation) -> str:
    return scene.product.keys.signer("gateway").sign(("gateway", AUDIENCE), ("chat",), user_id=OWNER)


WRONG_WAYS: Mapping[str, Wrong] = {
    "no token": Wrong(lambda scene, face, operation: None, 401, "token_missing"),
    "garbage": Wrong(lambda scene, face, operation: "not.a.token", 401, "token_invalid"),
    "expired public token": Wrong(
        lambda scene, face, operation: scene.token(face, operation, scene.owner, iat=1_000_000, exp=1_000_060),
        *(401, "token_expired"),
        at=("gateway",),
    ),
    "other user's path": Wrong(
        lambda scene, face, operation: scene.token(face, operation, scene.other),
        *(403, "user_mismatch"),
        at=("gateway",),
    ),
    "ChatKit session": Wrong(
        lambda scene, face, operation: scene.owner.client_secret,
        *(403, "session_not_allowed"),
        at=("gateway",),
        fits=lambda operation: SESSIONS not in str(operation.told["security"]),
    ),
    "other user's ChatKit session": Wrong(
        lambda scene, face, operation: scene.other.client_secret, 403, "user_mismatch", at=("gateway",)
    ),
    "internal token": Wrong(_internal, 401, "token_invalid", at=("gateway",)),
    "expired internal token": Wrong(_expired, 401, "token_expired", at=INSIDE),
    "public token": Wrong(
        lambda scene, face, operation: scene.product.keys.public_token(OWNER), 401, "token_invalid", at=INSIDE
    ),
    "without the scope": Wrong(_without_scope, 403, "scope_missing", at=INSIDE),
    "for nobody": Wrong(
        lambda scene, face, operation: scene.token(face, operation, scene.owner, user_id=None),
        *(403, "scope_missing"),
        at=INSIDE,
        fits=lambda operation: operation.scope not in FOR_NOBODY,
    ),
    "for another service": Wrong(
        lambda scene, face, operation: scene.token(face, operation, scene.owner, audience="gateway"),
        *(401, "token_invalid"),
        at=INSIDE,
    ),
    "of another run": Wrong(
        lambda scene, face, operation: scene.token(face, operation, scene.owner, run_id=scene.other.ids["run_id"]),
        *(403, "run_forbidden"),
        at=("history-service",),
        fits=lambda operation: operation.scope == RUNS_ITEMS,
    ),
    "forged": Wrong(_forged, 401, "token_invalid", at=INSIDE),
}
