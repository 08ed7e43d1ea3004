"""The whole product, started by its launcher as `make up` starts it, on free ports and data of its own."""

import secrets
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt

from launcher.children import Command, inherited_environment, spawn, stop
from launcher.pidfiles import PidFiles
from tests.support.ports import free_port
from tests.support.servers import eventually

PROJECT = Path(__file__).parents[2]
UP_SECONDS = 120.0
DOWN_SECONDS = 40.0
ISSUER = "https://auth.example"
AUDIENCE = "threadkeep"
PORTS = ("GATEWAY_PORT", "CHAT_PORT", "HISTORY_PORT", "WORKER_PORT", "TOOLS_PORT", "FRONTEND_PORT")


@dataclass(frozen=True)
class System:
    """A running product. Its tokens are HS256, signed with a secret that the test knows."""

    process: Process
    log: Path
    data_dir: Path
    gateway_url: str
    page_url: str
    auth_secret: str

    @property
    def output(self) -> str:
        """All that the launcher and its services have printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def pids(self) -> PidFiles:
        """The pid files of its processes."""
        return PidFiles(self.data_dir / "pids")

    def pid(self, name: str) -> int:
        """Return the pid of a living process. Raises LookupError if it does not live now."""
        pid = self.pids.living(name)
        if pid is None:
            raise LookupError(name)
        return pid

    def token(self, user_id: str, *, seconds: int = 900) -> str:
        """Return the user's public token, as Better Auth makes it in its HS256 form."""
        now = int(time.time())
        claims = {"sub": user_id, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + seconds}
        return jwt.encode(claims, self.auth_secret, "HS256")

    @asynccontextmanager
    async def client(self, user_id: str | None) -> AsyncGenerator[httpx.AsyncClient]:
        """Give an HTTP client of the gateway; without a user, one that sends no token."""
        headers = {"Authorization": f"Bearer {self.token(user_id)}"} if user_id else {}
        async with httpx.AsyncClient(base_url=self.gateway_url, headers=headers, timeout=60.0) as client:
            yield client


@asynccontextmanager
async def running_system(
    data_dir: Path, *, page: bool = False, launcher: str = "launcher", **environment: str
) -> AsyncGenerator[System]:
    """Start the product and wait until it is up; stop it when the block is left.

    With the page, tokens are those of Better Auth; without, HS256 ones that `System.token` makes. `launcher` is the
    module that is run; ports are free ones, unless the environment names them.
    """
    ports = {name: environment.get(name) or str(free_port()) for name in PORTS}
    auth_secret = environment.setdefault("BETTER_AUTH_SECRET", secrets.token_urlsafe(32))
    tokens = {} if page else {"JWT_ALGORITHM": "HS256", "JWT_ISSUER": ISSUER}
    settings = {"UI": "1" if page else "0", "WORKERS": "1", "MODEL_PROVIDER": "demo", "LOG_FORMAT": "json", **tokens}
    env = {**inherited_environment(), **ports, **settings, "DATA_DIR": str(data_dir), **environment}
    log = data_dir.with_name(f"{data_dir.name}.log")
    with log.open("ab") as output:
        process = await spawn(Command((sys.executable, "-m", launcher), env, PROJECT), output=output)
    system = System(
        process,
        log,
        data_dir,
        f"http://127.0.0.1:{ports['GATEWAY_PORT']}",
        f"http://localhost:{ports['FRONTEND_PORT']}",
        auth_secret,
    )
    already = system.output.count("Threadkeep is up")

    def is_up() -> bool:
        assert process.returncode is None, system.output
        return system.output.count("Threadkeep is up") > already

    try:
        await eventually(is_up, seconds=UP_SECONDS, what="the product is up")
        yield system
    finally:
        await stop(process, signal.SIGTERM, DOWN_SECONDS)
