"""A project folder with stand-in services."""

from pathlib import Path

import pytest

from tests.support.launched import make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "a project"
    make_project(root)
    return root
