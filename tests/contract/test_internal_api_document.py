"""docs/internal-api.md says what each scope opens: as the routes and the table of trust have it, and all of it."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from chat_service.app import create_app as create_chat
from chat_service.settings import Settings as ChatSettings
from contracts import principal
from history_service.app import create_app as create_history
from history_service.settings import Settings as HistorySettings
from launcher.trust import GRANTABLE, TRUST
from service_kit.openapi import operations
from task_tools.app import create_app as create_tools
from task_tools.settings import Settings as ToolsSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "internal-api.md"
DATABASE = SecretStr("postgresql://localhost/unused")
MCP = ("tasks", "POST /mcp")
"""MCP is no operation of an OpenAPI document."""

NO_SCOPES = {"INTERNAL_ALGORITHM", "INTERNAL_TYPE"}
_ROW = re.compile(r"^\| `([a-z:]+)` \| (.*) \| (.*) \| (yes|no) \|$", re.MULTILINE)
_OPERATION = re.compile(r"`([A-Z]+ /[^`]*)`")


@dataclass(frozen=True)
class Row:
    """What the document says of a scope."""

    opens: frozenset[str]
    granted_to: frozenset[str]
    grantable: bool


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {
        scope: Row(
            frozenset(_OPERATION.findall(opens)),
            frozenset(who.split(", ")) - {"nobody"},
            grantable == "yes",
        )
        for scope, opens, who, grantable in _ROW.findall(DOCUMENT.read_text())
    }


def apps() -> list[FastAPI]:
    tools = create_tools(ToolsSettings(database_url=DATABASE))
    return [create_history(HistorySettings(database_url=DATABASE)), create_chat(ChatSettings()), tools]


def test_every_scope_that_there_is_stands_in_it(rows: dict[str, Row]) -> None:
    names = {name for name, value in vars(principal).items() if name.isupper() and isinstance(value, str)}
    assert rows.keys() == {getattr(principal, name) for name in names - NO_SCOPES}


def test_each_scope_opens_what_it_says_and_no_more(rows: dict[str, Row]) -> None:
    opened: dict[str, set[str]] = {}
    for app in apps():
        for path, method, operation in operations(app.openapi()):
            for requirement in operation.get("security", ()):
                for scope in requirement["internalToken"]:
                    opened.setdefault(scope, set()).add(f"{method.upper()} {path}")
    opened[MCP[0]].add(MCP[1])
    assert {scope: row.opens for scope, row in rows.items()} == opened


def test_it_names_who_has_a_scope_and_who_may_have_it(rows: dict[str, Row]) -> None:
    granted: dict[str, set[str]] = {scope: set() for scope in rows}
    for senders in TRUST.values():
        for sender, scopes in senders.items():
            for scope in scopes:
                granted[scope].add(sender)
    assert {scope: row.granted_to for scope, row in rows.items()} == granted
    assert {scope for scope, row in rows.items() if row.grantable} == set(GRANTABLE)


def test_what_concerns_a_whole_user_is_granted_to_nobody_by_default(rows: dict[str, Row]) -> None:
    for scope in ("users:export", "users:delete", "attachments:read", "attachments:write"):
        assert rows[scope].granted_to == set()
