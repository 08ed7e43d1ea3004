"""The one setting that matters before the launcher runs: UI."""

from collections.abc import Mapping
from pathlib import Path

OFF = frozenset({"0", "no", "false", "off"})


def wants_page(root: Path, environ: Mapping[str, str]) -> bool:
    """Tell whether the page is wanted: UI of the environment, else of `.env`, else yes."""
    value = environ.get("UI") or _from_file(root / ".env") or "1"
    return value.lower() not in OFF


def _from_file(file: Path) -> str | None:
    if not file.is_file():
        return None
    for line in file.read_text().splitlines():
        name, _, value = line.strip().removeprefix("export ").partition("=")
        if name.strip() == "UI":
            return value.partition(" #")[0].strip().strip("\"'")
    return None
