"""Routes that FastAPI declares and documents but that are called directly: solving one takes it 90 µs and more."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from inspect import iscoroutinefunction, signature
from typing import Any, cast

from fastapi._compat import ModelField
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.params import Body
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from history_service.json_body import body_of, storable_json

_DEMANDS = [each.name for each in fields(Dependant) if each.name.endswith(("_params", "_param_name", "dependencies"))]
_OF_ROUTE = {"path_params", "dependencies", "body_params"}
_OF_DEPENDENCY = {"request_param_name"}
_SHAPING = ("include", "exclude", "exclude_unset", "exclude_defaults", "exclude_none")
_JSON = "application/json"

_Dependency = Callable[[Request], Awaitable[Any]]


def plain_app(route: APIRoute) -> ASGIApp | None:
    """Return what serves the route just as FastAPI would; None for a route that needs more of it.

    Such a route asks for no more than parameters of the path, dependencies on the request alone and a model as its JSON
    body, and answers with a model, with nothing, or with a `Response` of its own. Dependencies come first: who may not
    ask is not told what is wrong with the question. Of any other FastAPI itself tells that: it gets to see it anew.
    """
    endpoint, declared, answer_of = route.endpoint, route.dependant, _answer_of(route)
    body = _body_of(declared)
    if not (
        answer_of is not None
        and iscoroutinefunction(endpoint)
        and _demands(declared) <= _OF_ROUTE
        and len(declared.body_params) == (body is not None)
        and all(_is_of_request(each) for each in declared.dependencies)
    ):
        return None
    dependencies = [(str(each.name), cast(_Dependency, each.call)) for each in declared.dependencies]
    by_fastapi = route.app

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        values = {name: await call(request) for name, call in dependencies}
        for field in declared.path_params:
            values[field.name], wrong = field.validate(scope["path_params"][field.alias])
            if wrong:
                await by_fastapi(scope, receive, send)
                return
        if body is not None:
            text = await body_of(request)
            is_json = text and request.headers.get("content-type") == _JSON
            values[body.name], wrong = body.validate(storable_json(text)) if is_json else (None, True)
            if wrong:
                await by_fastapi(scope, _Replay(text, receive), send)
                return
        response = answer_of(await endpoint(**values))
        await response(scope, receive, send)

    return app


class _Replay:
    """Receives a body that was read already, then what follows it."""

    def __init__(self, text: bytes, receive: Receive) -> None:
        self._message: Message | None = {"type": "http.request", "body": text, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._message = self._message, None
        return message or await self._receive()


def _answer_of(route: APIRoute) -> Callable[[Any], Response] | None:
    """Return what makes the response of an endpoint's value; None if that takes more than writing a model as JSON."""
    annotation = signature(route.endpoint).return_annotation
    if annotation is Response:
        return _as_it_is
    if not isinstance(route.response_class, DefaultPlaceholder) or any(
        getattr(route, f"response_model_{shaping}") for shaping in _SHAPING
    ):
        return None
    field, status = route.response_field, route.status_code or 200
    if annotation is None and field is None and status == 204:
        return lambda _: Response(status_code=204, media_type=_JSON)
    if field is None or route.response_model is not annotation or not _is_model(annotation):
        return None
    return lambda value: Response(field.serialize_json(value), status, media_type=_JSON)


def _as_it_is(response: Response) -> Response:
    return response


def _body_of(declared: Dependant) -> ModelField | None:
    """Return the model that a route's body is; None if there is none, or something else than one model."""
    if len(declared.body_params) != 1:
        return None
    (field,) = declared.body_params
    given = field.field_info
    is_plain = type(given) is Body and given.media_type == _JSON and given.is_required() and not given.embed
    return field if is_plain and _is_model(given.annotation) else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_of_request(dependency: Dependant) -> bool:
    call = dependency.call
    return (
        (iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__))
        and _demands(dependency) == _OF_DEPENDENCY
        and dependency.name is not None
        and dependency.concurrency is None
    )


def _demands(declared: Dependant) -> set[str]:
    return {name for name in _DEMANDS if getattr(declared, name)}
