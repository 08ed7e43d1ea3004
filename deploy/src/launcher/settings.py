"""What the launcher reads from the environment and from `.env`: once, into one frozen object."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import LauncherError

DEFAULT_PORTS = {
    "GATEWAY_PORT": 8000,
    "CHAT_PORT": 8010,
    "HISTORY_PORT": 8020,
    "WORKER_PORT": 8030,
    "TOOLS_PORT": 8040,
    "FRONTEND_PORT": 3000,
}
MAX_WORKERS = 64
DEFAULT_WORKERS = 2
"""Two, so that one goes on with the runs of the other at once while that is being restarted."""

MAX_PORT = 65535


class SettingsError(LauncherError):
    """A setting has a value that cannot be used."""


@dataclass(frozen=True)
class LauncherSettings:
    """The launcher's own settings; `environment` holds all names, from which each service gets its share."""

    root: Path
    """The project's folder."""
    data_dir: Path
    workers: int
    with_page: bool
    bind_host: str
    ports: Mapping[str, int]
    postgres_port: int | None
    """Port of the embedded PostgreSQL; None: a free one at each start."""
    redis_port: int | None
    database_url: str | None
    """A server of the owner's, used in place of the embedded one."""
    redis_url: str | None
    stop_grace_seconds: float
    """How long a program may take to end before it is killed."""
    start_timeout_seconds: float
    """How long a program may take to become ready."""
    environment: Mapping[str, str]

    def worker_port(self, number: int) -> int:
        """Return the port of worker 1, 2, …"""
        return self.ports["WORKER_PORT"] + number - 1


def parse_dotenv(text: str) -> dict[str, str]:
    """Read `NAME=value` lines; blank lines and `#` comments are skipped, quotes around a value removed."""
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, separator, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if not separator or not name.isidentifier():
            raise SettingsError(f".env, line {number}: expected NAME=value.")
        quoted = value[:1] in {'"', "'"}
        values[name] = value[1:].partition(value[0])[0] if quoted else value.partition(" #")[0].strip()
    return values


def load_settings(root: Path, environ: Mapping[str, str]) -> LauncherSettings:
    """Combine the environment with `<root>/.env`, where the environment wins. Raises SettingsError."""
    dotenv = root / ".env"
    from_file = parse_dotenv(dotenv.read_text()) if dotenv.is_file() else {}
    values = {name: value for name, value in {**from_file, **environ}.items() if value != ""}
    data_dir = Path(values.get("DATA_DIR", ".data")).expanduser()
    workers = _whole(values, "WORKERS", DEFAULT_WORKERS, lowest=0, highest=MAX_WORKERS)
    return LauncherSettings(
        root=root,
        data_dir=data_dir if data_dir.is_absolute() else root / data_dir,
        workers=DEFAULT_WORKERS if workers is None else workers,
        with_page=values.get("UI", "1").lower() not in {"0", "no", "false", "off"},
        bind_host=values.get("BIND_HOST", "127.0.0.1"),
        ports={name: _port(values, name, default) or default for name, default in DEFAULT_PORTS.items()},
        postgres_port=_port(values, "POSTGRES_PORT", None),
        redis_port=_port(values, "REDIS_PORT", None),
        database_url=values.get("DATABASE_URL"),
        redis_url=values.get("REDIS_URL"),
        stop_grace_seconds=_seconds(values, "STOP_GRACE_SECONDS", 12.0),
        start_timeout_seconds=_seconds(values, "START_TIMEOUT_SECONDS", 60.0),
        environment=values,
    )


def _port(values: Mapping[str, str], name: str, default: int | None) -> int | None:
    return _whole(values, name, default, lowest=1, highest=MAX_PORT)


def _whole(values: Mapping[str, str], name: str, default: int | None, *, lowest: int, highest: int) -> int | None:
    text = values.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise SettingsError(f"{name}={text}: expected a whole number from {lowest} to {highest}.")
    return int(text)


def _seconds(values: Mapping[str, str], name: str, default: float) -> float:
    text = values.get(name)
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"{name}={text}: expected a number of seconds above 0.")
    return seconds
