"""The conversation API as one OpenAPI document: the gateway's public routes and the history-service's internal ones.

    python -m tests.contract.conversation_openapi           writes contracts/conversation-openapi.yaml
    python -m tests.contract.conversation_openapi --check   fails if that file says something else

It is made from the apps as they are. The gateway forwards: where the history-service has the same path without
`/api/{user_id}`, the codes of its problems are the gateway's too.
"""

import re
import sys
from pathlib import Path

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import SecretStr

from contracts.conversations import JsonObject
from gateway.app import create_app as create_gateway
from gateway.routes.documentation import USER_PATH
from gateway.settings import Settings as GatewaySettings
from history_service.app import create_app as create_history
from history_service.settings import Settings as HistorySettings
from service_kit.internal_tokens import generate_signing_key
from service_kit.openapi import codes_of, operations, problem_document

FILE = Path(__file__).parents[2] / "contracts" / "conversation-openapi.yaml"
PUBLIC_TAGS = frozenset({"chat", "conversations", "runs"})
DESCRIPTION = """Conversations, their messages and their runs.

Public paths begin with `/api/{user_id}` and are the gateway's; the others are the history-service's, for other
services and for OpenAI clients (`/v1`). Errors are problem details (RFC 9457) with a stable `code`.
Made by `make openapi`; do not edit."""


def history_document() -> JsonObject:
    """Return what the history-service says of itself, without health and metrics."""
    settings = HistorySettings(database_url=SecretStr("postgresql://localhost/history"))
    return _tagged(create_history(settings).openapi())


def gateway_document() -> JsonObject:
    """Return what the gateway says of conversations and runs."""
    settings = GatewaySettings(internal_signing_key=SecretStr(generate_signing_key()[0]))
    return _tagged(create_gateway(settings).openapi(), PUBLIC_TAGS)


def combined(public: JsonObject, internal: JsonObject) -> JsonObject:
    """Return both as one document; every path names its server."""
    _tell_forwarded_codes(public, internal)
    schemas, schemes = (
        _united(public["components"].get(kind, {}), internal["components"].get(kind, {}))
        for kind in ("schemas", "securitySchemes")
    )
    responses = _shared_responses(public, internal)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Threadkeep conversations", "description": DESCRIPTION, "version": public["info"]["version"]},
        "paths": {
            **_served(public, "http://localhost:8000", "The gateway, for users."),
            **_served(internal, "http://localhost:8020", "The history-service, for services."),
        },
        "components": {"schemas": schemas, "responses": responses, "securitySchemes": schemes},
    }


def rendered() -> str:
    """Return the document as YAML. Raises OpenAPIValidationError if it is no valid OpenAPI 3.1."""
    document = combined(gateway_document(), history_document())
    OpenAPIV31SpecValidator(document).validate()
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main() -> int:
    """Write the file, or compare it."""
    text = rendered()
    if "--check" not in sys.argv:
        FILE.write_text(text)
    elif not FILE.exists() or FILE.read_text() != text:
        print(f"{FILE.name} is not what the services say: run `make openapi`.", file=sys.stderr)  # noqa: T201
        return 1
    return 0


class _Dumper(yaml.SafeDumper):
    """Writes longer texts as blocks, and everything out where it belongs."""

    def ignore_aliases(self, data: object) -> bool:
        """Repeat what comes twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _shared_responses(*documents: JsonObject) -> JsonObject:
    """Take the errors out of the operations, one of each kind; their names are their status and codes."""
    shared: JsonObject = {}
    for document in documents:
        for path, _, operation in operations(document):
            protocol = ("openai",) if path.startswith("/v1/") else ()
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    name = ".".join((*protocol, status, *re.findall(r"[a-z_]+(?=[,.])", response["description"])))
                    shared[name] = response
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _tagged(document: JsonObject, tags: frozenset[str] | None = None) -> JsonObject:
    for path, method, operation in list(operations(document)):
        own = operation.get("tags", [])
        if not own or (tags is not None and tags.isdisjoint(own)):
            del document["paths"][path][method]
    document["paths"] = {path: item for path, item in document["paths"].items() if item}
    return document


def _served(document: JsonObject, url: str, description: str) -> JsonObject:
    server = {"url": url, "description": description}
    return {path: {"servers": [server], **item} for path, item in document["paths"].items()}


def _united(one: JsonObject, other: JsonObject) -> JsonObject:
    different = [name for name in one.keys() & other.keys() if one[name] != other[name]]
    if different:
        raise ValueError(f"two meanings of one name: {', '.join(different)}")
    return one | other


def _tell_forwarded_codes(public: JsonObject, internal: JsonObject) -> None:
    for path, method, operation in operations(public):
        behind = internal["paths"].get(path.removeprefix(USER_PATH), {}).get(method)
        if behind is None:
            continue
        responses = operation["responses"]
        for status in responses.keys() & behind["responses"].keys():
            told = codes_of(behind["responses"][status])
            # The internal token is the gateway's affair.
            if told and status != "401":
                codes = told | codes_of(responses[status]) - {"scope_missing"}
                responses[status] = problem_document(int(status), codes)


if __name__ == "__main__":
    sys.exit(main())
