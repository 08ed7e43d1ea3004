"""The service's operations as its OpenAPI document lists them: a new route is tested without being named here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from contracts import principal as scopes
from contracts.conversations import JsonObject
from contracts.problems import PROBLEM_MEDIA_TYPE
from service_kit.openapi import operations
from tests.integration.history_service.conftest import SCOPES, signer

JSON = "application/json"
ROUTER_CODES = {404: "route_not_found", 405: "method_not_allowed"}


@dataclass(frozen=True)
class Operation:
    """One operation: what it is called by, and what is said of it."""

    method: str
    path: str
    told: JsonObject

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def scope(self) -> str:
        """The scope that its token needs."""
        (requirement,) = self.told["security"]
        ((scope,),) = requirement.values()
        return scope

    @property
    def takes_json(self) -> bool:
        return JSON in self.told.get("requestBody", {}).get("content", {})

    def parameters(self, place: str) -> list[str]:
        """Names of its parameters in `path`, `query` or `header`."""
        return [entry["name"] for entry in self.told.get("parameters", ()) if entry["in"] == place]

    def schema_of(self, parameter: str) -> JsonObject:
        return next(entry["schema"] for entry in self.told["parameters"] if entry["name"] == parameter)

    def path_of(self, ids: Mapping[str, str], **quoted: str) -> str:
        """The path with the ids; `quoted` ones are put in as they are."""
        values = {name: quoted.get(name, quote(ids.get(name, "x_1"), safe="")) for name in self.parameters("path")}
        return self.path.format(**values)

    def fault_of(self, response: httpx.Response) -> str | None:
        """Say what is wrong with the answer to a bad request: it must be a documented 4xx with a stable code."""
        if not 400 <= response.status_code < 500:
            return f"{response.status_code} {response.text[:200]}"
        body = response.json()
        if self.path.startswith("/v1/"):
            code = body["error"]["code"]
        else:
            code = body["code"]
            if response.headers["content-type"] != PROBLEM_MEDIA_TYPE or not body["request_id"]:
                return f"no problem: {response.headers} {body}"
        if code == ROUTER_CODES.get(response.status_code):
            return None
        told = self.told["responses"].get(str(response.status_code), {})
        return None if f"'{code}'" in str(told) else f"{response.status_code} {code} is not documented"


def operations_of(document: JsonObject) -> Iterator[Operation]:
    """Yield the operations that need a token."""
    for path, method, told in operations(document):
        if "security" in told:
            yield Operation(method.upper(), path, told)


def token_for(scope: str, user_id: str, run_id: str | None = None) -> str:
    """A token of the service that may use the scope, as it would sign it."""
    issuer = next((name for name, allowed in SCOPES.items() if scope in allowed), None)
    assert issuer is not None, f"conftest.SCOPES lets nobody use {scope}"
    acting: dict[str, Any] = {} if scope in (scopes.RUNS_WORK, scopes.RUNS_WATCH) else {"user_id": user_id}
    if scope == scopes.RUNS_ITEMS:
        acting["run_id"] = run_id
    return signer(issuer).sign("history-service", [scope], **acting)
