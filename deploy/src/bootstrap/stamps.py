"""Stamps: what a finished step was made from, so that it is skipped while that is unchanged."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(files: Iterable[Path], *facts: str) -> str:
    """Return the hash of the files' names and contents, and of further facts."""
    state = hashlib.sha256()
    for fact in facts:
        state.update(f"{fact}\0".encode())
    for file in files:
        state.update(f"{file}\0".encode())
        state.update(file.read_bytes() if file.is_file() else b"")
        state.update(b"\0")
    return state.hexdigest()


def is_current(stamp: Path, value: str) -> bool:
    """Tell whether the stamp says that the step was done from exactly this."""
    return stamp.is_file() and stamp.read_text() == value


def tree(folder: Path, left_out: frozenset[str]) -> list[Path]:
    """Return all files below the folder, sorted; names in `left_out` are skipped with all below them."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name in left_out or path.name.endswith(".tsbuildinfo"):
            continue
        if path.is_dir():
            found += tree(path, left_out)
        else:
            found.append(path)
    return found
