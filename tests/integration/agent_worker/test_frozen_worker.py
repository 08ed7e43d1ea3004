"""A worker process that is stopped for longer than its lease, and then goes on."""

import asyncio
import signal
from pathlib import Path

import httpx

from contracts.redis_keys import events_key
from launcher.ports import LOOPBACK
from tests.integration.agent_worker.conftest import KEYS, Stage
from tests.support.history import claim_one
from tests.support.ports import free_port
from tests.support.publisher import RunPublisher
from tests.support.servers import eventually, run_process

LEASE_SECONDS = 3.0
"""The worker's idea of it; the history-service's own leases are longer, so that only the test gives the run away."""


async def test_a_thawed_worker_stops_and_writes_nothing(stage: Stage, tmp_path: Path) -> None:
    port = free_port()
    env = {
        "WORKER_PORT": str(port),
        "HISTORY_URL": stage.history_url,
        "TOOLS_URL": stage.tools_url,
        "REDIS_URL": stage.redis_url,
        "INTERNAL_SIGNING_KEY": KEYS["agent-worker"][0],
        "MODEL_PROVIDER": "demo",
        "RUN_LEASE_SECONDS": str(LEASE_SECONDS),
        "WORKER_CONCURRENCY": "1",
    }
    run = await stage.ask("/words 100000")

    async def text_is_shown() -> bool:
        return "delta" in str(await stage.events(run))

    argv = ("python", "-m", "agent_worker")
    url = f"http://{LOOPBACK}:{port}"
    async with run_process(argv, log=tmp_path / "worker.log", env=env, ready_url=f"{url}/healthz") as worker:
        await eventually(text_is_shown, what="the worker writes")
        worker.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_SECONDS)  # what is tested is that this time passes
        await stage.worker_history.release_run(run.id, 1)
        taken = await claim_one(stage.worker_history, "other")
        assert taken is not None
        assert taken.run.attempt == 2
        await RunPublisher(stage.redis, run.id, attempt=2).publish({"type": "progress_update", "text": "mine"})
        before = await stage.redis.xlen(events_key(run.id))

        worker.process.send_signal(signal.SIGCONT)
        async with httpx.AsyncClient(base_url=url) as http:

            async def is_idle() -> bool:
                return "threadkeep_worker_active_runs 0.0" in (await http.get("/metrics")).text

            await eventually(is_idle, what="the first attempt stops")
    assert "run_given_up" in worker.output
    assert await stage.redis.xlen(events_key(run.id)) == before
    assert [message.role for message in await stage.messages(run)] == ["user"]
    assert (await stage.history.get_run(run.id)).status == "in_progress"
