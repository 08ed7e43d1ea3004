"""What cannot be started is refused with one line that says why and what to do."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from tests.support.launched import launched


async def refusal(root: Path, **environment: str) -> str:
    """Run the launcher, which must end by itself with an error; returns its last line."""
    async with launched(root, ("up",), **environment) as launcher, asyncio.timeout(60):
        assert await launcher.process.wait() == 1
        return launcher.output.strip().splitlines()[-1]


async def test_a_second_launcher_on_the_same_data(project: Path) -> None:
    async with launched(project) as first:
        await first.up()
        line = await refusal(project)
        assert f"already runs on {project / '.data'} (pid {first.process.pid})" in line
        assert "make down" in line
        assert len(first.living()) == 7


async def test_a_taken_port_is_named_with_its_setting_and_owner(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = await refusal(project, CHAT_PORT=str(port))

    assert line.startswith(f"threadkeep: Port {port} (CHAT_PORT) is taken by another program")
    assert f"pid {os.getpid()}" in line


async def test_two_settings_with_one_port(project: Path) -> None:
    line = await refusal(project, WORKERS="2", WORKER_PORT="7100", TOOLS_PORT="7101")
    assert "WORKER_PORT + 1 and TOOLS_PORT are both 7101" in line


async def test_a_damaged_secrets_file(project: Path) -> None:
    secrets = project / ".data" / "secrets.json"
    secrets.parent.mkdir()
    secrets.write_text("{")
    assert "secrets.json is damaged: restore it" in await refusal(project)


async def test_secrets_that_do_not_fit_the_database(project: Path) -> None:
    async with launched(project) as first:
        await first.up()
    (project / ".data" / "secrets.json").unlink()
    assert "has other passwords than secrets.json" in await refusal(project)


async def test_a_data_folder_that_cannot_be_written(project: Path) -> None:
    (project / "file").touch()
    assert "Set DATA_DIR to a folder you may write" in await refusal(project, DATA_DIR="file/data")


async def test_a_failing_migration(project: Path) -> None:
    (project / "task_tools" / "migrate.py").write_text("raise SystemExit(3)\n")
    assert "The migration of task-tools ended with exit code 3" in await refusal(project)


async def test_a_service_that_ends_before_it_is_ready(project: Path) -> None:
    (project / "gateway" / "__main__.py").write_text("raise SystemExit(4)\n")
    assert "gateway ended with exit code 4 before it was ready" in await refusal(project)


async def test_a_service_that_never_becomes_ready(project: Path) -> None:
    (project / "gateway" / "__main__.py").write_text("import time\ntime.sleep(600)\n")
    assert "gateway was not ready within 1 s" in await refusal(project, START_TIMEOUT_SECONDS="1")


@pytest.mark.parametrize(
    ("name", "value"), [("WORKERS", "many"), ("GATEWAY_PORT", "0"), ("MODEL_PROVIDER", "x"), ("DATABASE_URL", "x")]
)
async def test_a_setting_that_cannot_be_used_is_named(project: Path, name: str, value: str) -> None:
    assert name in await refusal(project, **{name: value})


async def test_the_model_key_needs_naming_but_is_never_shown(project: Path) -> None:
    async with launched(project, OPENAI_API_KEY="sk-secret", MODEL="gpt-x") as launcher:
        await launcher.up()
        assert "gpt-x (openai)" in launcher.output
        assert "sk-secret" not in launcher.output


async def test_secrets_are_readable_by_the_owner_alone_and_stay(project: Path) -> None:
    secrets = project / ".data" / "secrets.json"
    contents: list[str] = []
    for _ in range(2):
        async with launched(project) as launcher:
            await launcher.up()
        contents.append(secrets.read_text())
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert contents[0] == contents[1]
