"""Problems under `/v1/` in OpenAI's shape, whoever answers with them."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from history_service.openai_errors import error_response, install_openai_errors
from service_kit.problems import ProblemError, ServiceUnavailableError, install_problem_handlers


def app() -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app)
    install_openai_errors(app)

    @app.get("/{prefix}/broken")
    async def broken() -> None:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        raise RuntimeError("secret")

    @app.get("/{prefix}/away")
    async def away() -> None:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        raise ServiceUnavailableError(headers={"Retry-After": "1"})

    @app.get("/{prefix}/stream")
    async def stream() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction] - used by its decorator
        async def parts() -> AsyncIterator[bytes]:
            for part in (b"a", b"b"):
                yield part

        return StreamingResponse(parts(), media_type="text/plain")

    return app


@pytest.fixture
def client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_an_unexpected_error_says_nothing_of_itself(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/broken")
    assert response.status_code == 500
    assert response.json() == {
        "error": {"message": ProblemError.detail, "type": "server_error", "param": None, "code": "internal_error"}
    }


async def test_headers_of_a_problem_stay(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/away")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.headers.get_list("content-type") == ["application/json"]
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.json()["error"]["code"] == "upstream_unavailable"


async def test_other_routes_answer_problems(client: httpx.AsyncClient) -> None:
    for path in ("/v2/broken", "/v2/away"):
        assert (await client.get(path)).headers["content-type"] == "application/problem+json"


async def test_what_is_no_problem_passes(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/stream")).text == "ab"


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (401, 401, "authentication_error"),
        (403, 403, "permission_error"),
        (404, 404, "invalid_request_error"),
        (409, 409, "invalid_request_error"),
        (413, 413, "invalid_request_error"),
        (422, 400, "invalid_request_error"),
        (500, 500, "server_error"),
        (503, 503, "server_error"),
    ],
)
def test_statuses_and_types(status: int, told: int, kind: str) -> None:
    response = error_response(status, {"code": "x", "detail": "y"})
    assert response.status_code == told
    assert f'"type":"{kind}"'.encode() in response.body
    assert response.headers.get("x-should-retry") == ("false" if status == 409 else None)
