"""Every operation of every service, asked in every wrong way. Made from the services' OpenAPI documents.

A new route is covered as soon as it is documented. It has to be told apart from the others by its document alone: an
operation without `security` is open to everybody, and so may take nothing and tell nothing of anybody.
"""

import re
from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from contracts.principal import Service
from tests.security.route_matrix import (
    FACES,
    FOR_NOBODY,
    NO_JSON,
    NOT_YOURS,
    OTHER,
    OWNER,
    UNDOCUMENTED,
    WRONG_WAYS,
    Scene,
    foreign_parts,
    may_succeed,
    secured,
    told_too_much,
)
from tests.support.belongings import rows_of_others, store_belongings
from tests.support.operations import operations_of
from tests.support.postgres import PostgresServer
from tests.support.product import migrate, running_product
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    postgres: PostgresServer, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Scene]:
    url = await postgres.create_database(await postgres.template("history-and-tasks", migrate))
    blobs, admin_url = tmp_path_factory.mktemp("blobs"), postgres.superuser(url)
    async with (
        running_product(url, await valkey.empty_database(), blobs) as product,
        httpx.AsyncClient(timeout=20) as http,
    ):
        owner, other = [await store_belongings(product, user_id) for user_id in (OWNER, OTHER)]
        yield Scene(product, http, owner, other, admin_url, await rows_of_others(admin_url, OTHER))
    await postgres.drop_database(url)


PAIRS = [(name, way) for way, wrong in WRONG_WAYS.items() for name in wrong.at]


@pytest.mark.parametrize(("name", "way"), PAIRS)
async def test_a_wrong_token_opens_nothing(scene: Scene, name: Service, way: str) -> None:
    face, wrong, faults = scene.product.faces[name], WRONG_WAYS[way], list[str]()
    asked = [operation for operation in secured(face) if wrong.fits(operation)]
    assert asked
    for operation in asked:
        token = wrong.token(scene, face, operation)
        body = next(operation.bodies_of(scene.owner.known(operation)))
        # That a body is none shows only to who reads it.
        for sent in (body, NO_JSON) if body.sent else (body,):
            response = await scene.ask(face, operation, scene.owner.ids, sent, token)
            faults += scene.faults(response, operation, {wrong.status: {wrong.code}}, str(sent.sent))
    assert not faults, "\n".join(faults)
    await scene.check_unchanged()


@pytest.mark.parametrize("name", FACES)
async def test_a_path_to_somebody_elses_thing_is_refused(scene: Scene, name: Service) -> None:
    face, faults = scene.product.faces[name], list[str]()
    for operation in secured(face):
        if operation.scope in FOR_NOBODY:
            continue
        token = scene.token(face, operation, scene.other)
        for foreign in foreign_parts(face, operation):
            meant = replace(scene.other, ids={**scene.other.ids, **{part: scene.owner.ids[part] for part in foreign}})
            for body in operation.bodies_of(meant.known(operation)):
                response = await scene.ask(face, operation, meant.ids, body, token)
                if response.is_success and may_succeed(operation, foreign):
                    faults += scene.told(response, operation, body, scene.owner.ids)
                else:
                    faults += scene.faults(response, operation, NOT_YOURS, f"with their {sorted(foreign)}")
    assert not faults, "\n".join(faults)
    await scene.check_unchanged()


@pytest.mark.parametrize("name", FACES)
async def test_somebody_elses_things_in_a_body_or_a_cursor_tell_nothing(scene: Scene, name: Service) -> None:
    face, faults = scene.product.faces[name], list[str]()
    for operation in secured(face):
        if operation.scope in FOR_NOBODY or "delete" in operation.method.lower():
            continue
        token = scene.token(face, operation, scene.other)
        for body in operation.bodies_of(scene.owner.known(operation)):
            for query in [{"after": word} for word in scene.owner.ids.values()] if operation.has_cursor else [{}]:
                response = await scene.ask(face, operation, scene.other.ids, body, token, **query)
                faults += scene.told(response, operation, body, query)
    assert not faults, "\n".join(faults)
    await scene.check_unchanged()


@pytest.mark.parametrize("name", FACES)
async def test_what_is_open_takes_nothing_and_tells_nothing(scene: Scene, name: Service) -> None:
    face = scene.product.faces[name]
    documented = {operation.path for operation in operations_of(face.document)}
    routed = {route.path for route in face.app.routes if isinstance(route, Route)}
    assert all(isinstance(route, Route) for route in face.app.routes), "what is served behind a mount is not seen here"
    hidden = {path for path in routed if re.sub(r":\w+}", "}", path) not in documented}
    assert hidden <= UNDOCUMENTED, f"{hidden - UNDOCUMENTED} are served and in no document"
    opened = [operation for operation in operations_of(face.document) if operation.is_open]
    assert opened
    for operation in opened:
        taken = operation.told.keys() & {"parameters", "requestBody"}
        assert (operation.method, taken) == ("GET", set()), f"{operation.name} needs no token and takes {taken}"
    for path in {operation.path for operation in opened} | hidden:
        response = await scene.http.get(face.url + path)
        assert response.status_code < 500
        assert told_too_much(response, scene.owner.secrets | scene.other.secrets) is None
