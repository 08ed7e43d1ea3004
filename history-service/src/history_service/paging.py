"""The query of a page of a conversation's log, read in one go: FastAPI takes 40 µs to look at four parameters."""

from typing import Any, NamedTuple, cast, get_args
from urllib.parse import parse_qsl

from fastapi import Request

from contracts.pages import DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT, Order
from history_service.domain import MAX_CURSOR_LENGTH
from service_kit.problems import InvalidRequestError

_ORDERS: tuple[str, ...] = get_args(Order)
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_LIMIT, "default": DEFAULT_PAGE_LIMIT}
_AFTER = {"type": "string", "maxLength": MAX_CURSOR_LENGTH}
_ORDER = {"type": "string", "enum": list(_ORDERS), "default": "asc"}
_HIDDEN = {"type": "boolean", "default": False}


class PageQuery(NamedTuple):
    """What page is asked for; `hidden`: with the items that a browser never sees."""

    limit: int
    after: str | None
    order: Order
    hidden: bool


async def page_query(request: Request) -> PageQuery:
    """Read the query of a page. Raises InvalidRequestError."""
    given = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    limit, after, order = given.get("limit"), given.get("after"), given.get("order", "asc")
    hidden = _FLAGS.get(given.get("hidden", "false").lower())
    if limit is not None and not _is_limit(limit):
        raise InvalidRequestError(f"limit is not a number from 1 to {MAX_PAGE_LIMIT}.")
    if after is not None and len(after) > MAX_CURSOR_LENGTH:
        raise InvalidRequestError(f"after is longer than {MAX_CURSOR_LENGTH} characters.")
    if order not in _ORDERS:
        raise InvalidRequestError("order is neither asc nor desc.")
    if hidden is None:
        raise InvalidRequestError("hidden is neither true nor false.")
    return PageQuery(int(limit) if limit else DEFAULT_PAGE_LIMIT, after, cast(Order, order), hidden)


def _is_limit(text: str) -> bool:
    return (
        len(text) <= len(str(MAX_PAGE_LIMIT)) and text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAGE_LIMIT
    )


def page_parameters(*, hidden: bool) -> dict[str, Any]:
    """Document the parameters, for the `openapi_extra=` of a route."""
    schemas = {"limit": _LIMIT, "after": _AFTER, "order": _ORDER} | ({"hidden": _HIDDEN} if hidden else {})
    named = [{"name": name, "in": "query", "required": False, "schema": each} for name, each in schemas.items()]
    return {"parameters": named}
