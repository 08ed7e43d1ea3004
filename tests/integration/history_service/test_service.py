"""The service as a process, and with a database that goes away."""

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from history_client import HistoryClient, HistoryUnavailableError, UserHistory
from history_service.app import create_app
from history_service.settings import Settings
from launcher.sql import connected
from service_kit.service_client import open_service
from tests.integration.history_service.conftest import KEYS, TRUST, history_at, signer
from tests.support.history import conversation_put
from tests.support.ports import free_port
from tests.support.servers import eventually, run_process, serve


async def test_the_program_serves(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    trust = {issuer: trusted.model_dump(mode="json") for issuer, trusted in TRUST.items()}
    env = {
        "HISTORY_PORT": str(port),
        "DATABASE_URL": database_url,
        "INTERNAL_SIGNING_KEY": KEYS["history-service"][0],
        "INTERNAL_TRUST": json.dumps(trust),
    }
    url = f"http://127.0.0.1:{port}"
    program = run_process(("python", "-m", "history_service"), log=tmp_path / "log", env=env, ready_url=f"{url}/readyz")
    async with program, history_at(url) as history:
        alice = history.user("alice")
        stored = await alice.put_conversation(conversation_put(title="x"))
        assert await alice.get_conversation(stored.id) == stored
        metrics = (await history.http.get("/metrics")).text
    assert 'route="/conversations/{conversation_id}"' in metrics
    assert stored.id not in metrics


async def test_a_missing_database_is_503_and_said_by_readyz(settings: Settings) -> None:
    nowhere = SecretStr(f"postgresql://me:secret@127.0.0.1:{free_port()}/history")
    app = create_app(settings.model_copy(update={"database_url": nowhere}))
    async with serve(app) as url, history_at(url) as history:
        with pytest.raises(HistoryUnavailableError, match="upstream_unavailable") as error:
            await history.user("alice").list_conversations()
        assert error.value.status == 503
        ready = await history.http.get("/readyz")
        assert (ready.status_code, ready.json()["down"]) == (503, ["postgres"])
        assert (await history.http.get("/healthz")).status_code == 200


async def test_lost_connections_are_replaced(alice: UserHistory, admin_database_url: str) -> None:
    stored = await alice.put_conversation(conversation_put())
    async with connected(admin_database_url) as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        killed = await connection.fetchval(
            f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"  # noqa: S608
        )
    assert killed
    assert await alice.get_conversation(stored.id) == stored


async def test_an_exhausted_pool_is_503(settings: Settings, admin_database_url: str) -> None:
    small = {"database_pool_size": 1, "database_pool_timeout_seconds": 0.5}
    async with serve(create_app(settings.model_copy(update=small))) as url, open_service(url) as service:
        alice = HistoryClient(service, signer("chat-service")).as_user("alice")
        await alice.put_conversation(conversation_put("thr_1"))
        async with connected(admin_database_url) as connection, connected(admin_database_url) as observer:

            async def one_is_blocked() -> bool:
                query = (
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                return await observer.fetchval(query) == 1

            await connection.execute("BEGIN; LOCK TABLE history.conversations IN ACCESS EXCLUSIVE MODE")
            blocked = asyncio.create_task(alice.list_conversations())
            await eventually(one_is_blocked, what="a request has the connection, and waits")
            with pytest.raises(HistoryUnavailableError) as error:
                await alice.list_conversations()
            assert error.value.status == 503
            await connection.execute("ROLLBACK")
        assert await blocked == await alice.list_conversations()
        assert [row.id for row in (await blocked).data] == ["thr_1"]


REFUSE_AT_COMMIT = """
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused at commit'; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON history.conversations
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.refuse()
"""


async def test_what_fails_to_commit_is_not_acknowledged(alice: UserHistory, admin_database_url: str) -> None:
    async with connected(admin_database_url) as connection:
        await connection.execute(REFUSE_AT_COMMIT)
    with pytest.raises(HistoryUnavailableError, match="internal_error"):
        await alice.put_conversation(conversation_put())
    assert (await alice.list_conversations()).data == []
