"""The embedded servers and the fixtures made of them."""

import asyncio
from pathlib import Path

import httpx
import redis.asyncio as redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from launcher.embedded_postgres import running_postgres
from launcher.embedded_valkey import running_valkey
from launcher.sql import connected
from tests.support.postgres import PostgresServer, database_of
from tests.support.servers import run_process, serve


async def fetch(url: str, query: str) -> object:
    async with connected(url) as connection:
        return await connection.fetchval(query)


async def test_tests_connect_as_an_ordinary_role_that_owns_its_database(database_url: str) -> None:
    roles = "SELECT rolsuper::text || rolcreaterole || rolbypassrls FROM pg_roles WHERE rolname = current_user"
    owner = "SELECT pg_get_userbyid(datdba) = current_user FROM pg_database WHERE datname = current_database()"

    assert await fetch(database_url, roles) == "falsetruefalse"
    assert await fetch(database_url, owner) is True


async def test_the_admin_address_is_the_superuser_of_the_same_database(
    database_url: str, admin_database_url: str
) -> None:
    assert await fetch(admin_database_url, "SELECT current_database()::text") == database_of(database_url)
    assert await fetch(admin_database_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True


async def test_a_template_is_migrated_once_and_copied(postgres: PostgresServer) -> None:
    migrated: list[str] = []

    async def migrate(url: str) -> None:
        migrated.append(url)
        await fetch(url, "CREATE TABLE migrated (id int)")

    names = [await postgres.template("fixture-test", migrate) for _ in range(2)]
    copy = await postgres.create_database(names[0])

    assert len(migrated) == 1
    assert await fetch(copy, "SELECT count(*) FROM migrated") == 0
    await postgres.drop_database(copy)


async def test_postgres_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "a folder with spaces"
    async with running_postgres(folder) as first:
        await first.ensure_database("threadkeep", "threadkeep", "it's")
        await fetch(first.url("threadkeep", "threadkeep", "it's"), "CREATE TABLE kept (id int)")
        port = first.port

    again = type(first)(folder, port, first.superuser_password)
    assert not await again.is_ready()
    # The cluster keeps the first start's password.
    async with running_postgres(folder, superuser_password=first.superuser_password) as second:
        await second.ensure_database("threadkeep", "threadkeep", "new")
        assert await fetch(second.url("threadkeep", "threadkeep", "new"), "SELECT count(*) FROM kept") == 0


async def test_valkey_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    for expected in (1, 2):
        async with running_valkey(tmp_path, durable=True) as server:
            client = redis.Redis.from_url(server.url)
            assert await client.incr("starts") == expected
            await client.aclose()


async def test_redis_url_is_empty(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    assert await client.dbsize() == 0
    await client.aclose()


async def test_serve_streams_over_a_real_socket() -> None:
    def hello(_: Request) -> Response:
        return PlainTextResponse("hello")

    async with serve(Starlette(routes=[Route("/", hello)])) as url, httpx.AsyncClient() as client:
        assert (await client.get(url)).text == "hello"


async def test_run_process_gives_output_and_ends_the_program(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with run_process(("python", "-c", "print('hi')"), log=log) as program:
        async with asyncio.timeout(10):
            assert await program.process.wait() == 0
        assert program.output == "hi\n"
