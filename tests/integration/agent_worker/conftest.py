"""A worker with a scripted model, over the real history-service, task-tools, Postgres and Valkey."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
from agents import Model
from agents.testing import ModelStep, ScriptedModel
from pydantic import SecretStr
from redis.asyncio import Redis

from agent_worker.agent import create_agent
from agent_worker.log_writer import open_log_writer
from agent_worker.resources import Resources
from agent_worker.settings import Settings
from agent_worker.tools.pool import ToolPool
from agent_worker.worker import Worker
from contracts import principal as scopes
from contracts.conversations import JsonObject, Message
from contracts.frames import frame_data
from contracts.ids import new_id
from contracts.principal import TrustedIssuer
from contracts.redis_keys import EVENT_FIELD, events_key
from contracts.runs import TERMINAL_STATUSES, Run
from history_client import HistoryClient, UserHistory, WorkerHistoryClient
from history_service.app import create_app as create_history_app
from history_service.migrate import migrate as migrate_history
from history_service.settings import Settings as HistorySettings
from service_kit.database_settings import DatabaseSettings
from service_kit.http import create_http_client
from service_kit.internal_tokens import TokenSigner, generate_signing_key
from service_kit.service_client import open_service
from task_tools.app import create_app as create_tools_app
from task_tools.migrate import migrate as migrate_tasks
from task_tools.settings import Settings as ToolsSettings
from tests.support.history import run_create
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually, serve

USER = "alice"
KEYS = {name: generate_signing_key() for name in ("gateway", "chat-service", "history-service", "agent-worker")}
LEASE = {"run_lease_seconds": 30.0}
"""Longer than any test: leases are lost where a test takes them away, not because the machine is busy."""

CHAT_SCOPES = {scopes.CONVERSATIONS_READ, scopes.CONVERSATIONS_WRITE, scopes.RUNS_CREATE, scopes.RUNS_READ}


def trust(**allowed: set[str]) -> dict[str, TrustedIssuer]:
    return {
        name.replace("_", "-"): TrustedIssuer(public_key=KEYS[name.replace("_", "-")][1], scopes=frozenset(names))
        for name, names in allowed.items()
    }


def signer(name: str) -> TokenSigner:
    return TokenSigner(name, KEYS[name][0])


async def _migrate(url: str) -> None:
    settings = DatabaseSettings(database_url=SecretStr(url))
    await migrate_history(settings)
    await migrate_tasks(settings)


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncGenerator[str]:
    url = await postgres.create_database(await postgres.template("history-and-tasks", _migrate))
    yield url
    await postgres.drop_database(url)


@dataclass(frozen=True)
class Stage:
    """The services, one user, and as many workers as the test wants."""

    history: UserHistory
    worker_history: WorkerHistoryClient
    redis: Redis
    redis_url: str
    history_url: str
    tools_url: str
    database_url: str

    async def ask(self, text: str = "Hello", conversation_id: str | None = None) -> Run:
        """Store a user message with its run."""
        new = conversation_id is None
        conversation_id = conversation_id or new_id("thr")
        return (await self.history.create_run(conversation_id, run_create(conversation_id, text, new=new))).run

    @asynccontextmanager
    async def worker(
        self,
        model: Model,
        *,
        history: WorkerHistoryClient | None = None,
        redis_url: str | None = None,
        drain_seconds: float = 0.0,
        **settings: Any,
    ) -> AsyncGenerator[Worker]:
        """Run a worker until the block is left, then shut it down as SIGTERM does."""
        urls = {"history_url": self.history_url, "tools_url": self.tools_url}
        defaults: JsonObject = {"relay_flush_ms": 0, "worker_poll_seconds": 0.05, "tool_patience_seconds": 0} | LEASE
        configured = Settings.model_validate(urls | defaults | settings)
        async with AsyncExitStack() as stack:
            redis, wake_redis = (Redis.from_url(redis_url or self.redis_url) for _ in range(2))
            stack.push_async_callback(redis.aclose)
            stack.push_async_callback(wake_redis.aclose)
            tools = ToolPool(
                f"{self.tools_url}/mcp", size=2, timeout_seconds=5, patience_seconds=configured.tool_patience_seconds
            )
            stack.push_async_callback(tools.close)
            flush_seconds = configured.relay_flush_ms / 1000
            log_writer = await stack.enter_async_context(open_log_writer(redis, flush_seconds=flush_seconds))
            agent = create_agent(model, tools)
            resources = Resources(history or self.worker_history, redis, wake_redis, log_writer, tools, model, agent)
            worker = Worker(resources, configured)
            serving = asyncio.create_task(worker.serve())
            try:
                yield worker
            finally:
                serving.cancel()
                await asyncio.wait({serving})
                await worker.drain(drain_seconds)

    async def end_of(self, run: Run) -> Run:
        """Wait for the run's end."""
        seen = [run]

        async def has_ended() -> bool:
            seen.append(await self.history.get_run(run.id))
            return seen[-1].status in TERMINAL_STATUSES

        await eventually(has_ended, what="the run ends")
        return seen[-1]

    async def messages(self, run: Run) -> list[Message]:
        """Return the conversation's messages, oldest first."""
        return (await self.history.list_messages(run.conversation_id, limit=100, order="asc")).data

    async def events(self, run: Run) -> list[JsonObject]:
        """Return what the run's log holds, run events included."""
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await self.redis.xrange(events_key(run.id)))
        frames = [fields[EVENT_FIELD.encode()] for _, fields in entries]
        return [cast("JsonObject", httpx.Response(200, content=frame_data(frame)).json()) for frame in frames]

    async def last_event(self, run: Run, kind: str) -> JsonObject:
        """Wait until the log ends with an event of this type, and return it."""
        seen: list[JsonObject] = []

        async def is_there() -> bool:
            seen[:] = await self.events(run)
            return bool(seen) and seen[-1]["type"] == kind

        await eventually(is_there, what=kind)
        return seen[-1]

    async def tasks(self) -> list[str]:
        """Return the titles of the user's tasks."""
        token = signer("gateway").sign("task-tools", [scopes.TASKS], user_id=USER)
        async with create_http_client(self.tools_url) as http:
            response = await http.get("/tasks", headers={"Authorization": f"Bearer {token}"})
        return [task["title"] for task in response.raise_for_status().json()["data"]]


def script(*steps: Any) -> ScriptedModel:
    """A model that gives these responses, one after another: items, lists of items, or steps."""
    responses: list[Any] = [step if isinstance(step, list | ModelStep) else [step] for step in steps]
    return ScriptedModel(responses)


@pytest.fixture
async def stage(database_url: str, redis_url: str) -> AsyncGenerator[Stage]:
    """Everything but the worker."""
    history_settings = HistorySettings(
        database_url=SecretStr(database_url),
        internal_signing_key=SecretStr(KEYS["history-service"][0]),
        internal_trust=trust(
            chat_service=CHAT_SCOPES | {scopes.RUNS_CANCEL},
            agent_worker={scopes.RUNS_WORK},
            history_service={scopes.RUNS_ITEMS, scopes.TASKS},
        ),
        run_lease_seconds=LEASE["run_lease_seconds"],
    )
    tools_settings = ToolsSettings(
        database_url=SecretStr(database_url),
        internal_trust=trust(gateway={scopes.TASKS}, history_service={scopes.RUNS_ITEMS, scopes.TASKS}),
    )
    redis = Redis.from_url(redis_url)
    async with (
        serve(create_history_app(history_settings)) as history_url,
        serve(create_tools_app(tools_settings)) as tools_url,
        open_service(history_url) as history,
    ):
        yield Stage(
            HistoryClient(history, signer("chat-service")).as_user(USER),
            WorkerHistoryClient(history, signer("agent-worker")),
            redis,
            redis_url,
            history_url,
            tools_url,
            database_url,
        )
    await redis.aclose()
