"""Routes that FastAPI declares and documents but that are called directly: solving one takes it 90 µs a request."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from inspect import iscoroutinefunction, signature
from typing import Any, cast

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_DEMANDS = [each.name for each in fields(Dependant) if each.name.endswith(("_params", "_param_name", "dependencies"))]
_OF_ROUTE = {"path_params", "dependencies"}
_OF_DEPENDENCY = {"request_param_name"}

_Dependency = Callable[[Request], Awaitable[Any]]


def plain_app(route: APIRoute) -> ASGIApp | None:
    """Return what serves the route just as FastAPI would; None for a route that needs more of it.

    Such a route makes its `Response` itself and asks for no more than parameters of the path and dependencies on the
    request alone. Dependencies come first, as in FastAPI: who may not ask is not told what is wrong with the question.
    """
    endpoint, declared = route.endpoint, route.dependant
    if not (
        iscoroutinefunction(endpoint)
        and signature(endpoint).return_annotation is Response
        and _demands(declared) <= _OF_ROUTE
        and all(_is_of_request(each) for each in declared.dependencies)
    ):
        return None
    dependencies = [(str(each.name), cast(_Dependency, each.call)) for each in declared.dependencies]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request, errors = Request(scope, receive, send), list[Any]()
        values = {name: await call(request) for name, call in dependencies}
        for field in declared.path_params:
            given = scope["path_params"][field.alias]
            values[field.name], wrong = field.validate(given, {}, loc=("path", field.alias))
            errors += wrong
        if errors:
            raise RequestValidationError(errors)
        response: Response = await endpoint(**values)
        await response(scope, receive, send)

    return app


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
