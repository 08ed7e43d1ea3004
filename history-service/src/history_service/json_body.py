"""Bodies of requests: JSON that is parsed once, and only if it can be kept exactly."""

import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from contracts.conversations import JsonObject
from history_service.domain import unstorable
from service_kit.problems import InvalidRequestError


async def body_of(request: Request) -> bytes:
    """Return the request's body. Raises InvalidRequestError if the client left before its end."""
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise InvalidRequestError("The request's body is incomplete.") from error


def storable_json(text: bytes) -> Any:
    """Parse JSON that can be stored and given back exactly. Raises InvalidRequestError."""
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unambiguous, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not JSON: {error.msg} at character {error.pos}.") from error
    except RecursionError:
        raise InvalidRequestError("The JSON is nested too deep.") from None
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise InvalidRequestError("The body is not JSON: wrong encoding, or a number too long.") from error
    reason = unstorable(value)
    if reason is not None:
        raise InvalidRequestError(reason)
    return value


def _unambiguous(members: list[tuple[str, Any]]) -> JsonObject:
    named = dict(members)
    if len(named) != len(members):
        raise InvalidRequestError("A JSON object names a member twice.")
    return named


def _no_number(name: str) -> NoReturn:
    raise InvalidRequestError(f"{name} is not a JSON number.")
