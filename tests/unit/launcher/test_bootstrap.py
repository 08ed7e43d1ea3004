"""What is missing on a machine is said in one line."""

import re
import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from bootstrap import __main__ as entry
from bootstrap.browser import ensure_browser
from bootstrap.debian import PGBOUNCER, ensure_program
from bootstrap.environment import Environment
from bootstrap.errors import BootstrapError
from bootstrap.page import node_version
from bootstrap.steps import alone_in, run_step
from launcher.keys import compose_environment
from launcher.settings import parse_dotenv

COMPOSE = Path(__file__).parents[3] / "docker-compose.yml"


def test_an_unsuitable_python_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(entry, "OLDEST", (3, 98))
    monkeypatch.setattr(entry, "NEWEST", (3, 99))
    with pytest.raises(SystemExit):
        entry.use_suitable_python()
    assert "install Python 3.11 to 3.14" in capsys.readouterr().err


def test_a_missing_node_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BootstrapError, match=r"Node\.js with npm is needed.*make up UI=0"):
        node_version()


def test_an_old_node_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.20.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(BootstrapError, match=r"18\.20\.0 is too old"):
        node_version()


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / ".venv" / "lib" / version / "site-packages").mkdir(parents=True)
    environment.python.parent.mkdir()
    environment.python.symlink_to(sys.executable)
    with pytest.raises(BootstrapError, match=r"requirements\.lock is missing"):
        environment.prepare(development=False)


def test_a_failing_step_shows_its_last_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = (sys.executable, "-c", "print('the reason'); raise SystemExit(3)")
    with pytest.raises(BootstrapError, match=r"Trying failed \(exit code 3\)"):
        run_step("Trying", command, log=tmp_path / "log", cwd=tmp_path)
    assert "the reason" in capsys.readouterr().err


def test_two_in_one_folder_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told, entered = Event(), Event()

    def say(_: str) -> None:
        told.set()

    def second() -> None:
        with alone_in(tmp_path):
            entered.set()

    monkeypatch.setattr("bootstrap.steps.say", say)
    with alone_in(tmp_path):
        thread = Thread(target=second)
        thread.start()
        assert told.wait(10)
        assert not entered.is_set()
    assert entered.wait(10)
    thread.join()


def test_a_browser_that_was_named_must_exist(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    with pytest.raises(BootstrapError, match="CHROMIUM_PATH"):
        ensure_browser(tmp_path, {"CHROMIUM_PATH": str(program)})
    program.touch()
    assert ensure_browser(tmp_path, {"CHROMIUM_PATH": str(program)}) == program


def test_a_pgbouncer_that_was_named_must_exist(tmp_path: Path) -> None:
    program = tmp_path / "pgbouncer"
    with pytest.raises(BootstrapError, match="PGBOUNCER_PATH"):
        ensure_program(PGBOUNCER, tmp_path, {"PGBOUNCER_PATH": str(program)})
    program.touch()
    assert ensure_program(PGBOUNCER, tmp_path, {"PGBOUNCER_PATH": str(program)}) == program


def test_a_pgbouncer_on_the_path_is_used_as_it_is(tmp_path: Path) -> None:
    program = tmp_path / "pgbouncer"
    program.touch(mode=0o755)
    assert ensure_program(PGBOUNCER, tmp_path, {"PATH": str(tmp_path)}) == program
    assert not (tmp_path / ".cache").exists()


def test_a_pgbouncer_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bootstrap.debian.SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BootstrapError, match=r"need PgBouncer.*or set PGBOUNCER_PATH"):
        ensure_program(PGBOUNCER, tmp_path, {"PATH": str(tmp_path)})


def test_the_printed_keys_are_all_that_docker_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE.read_text()))
    keys = compose_environment({})

    assert set(keys) == asked
    # As a person stores them, and as Docker reads them: nothing to interpolate, nothing to unquote.
    assert parse_dotenv("".join(f"{name}='{value}'\n" for name, value in keys.items())) == keys
    assert not [value for value in keys.values() if "$" in value or "'" in value]
