"""What is logged of an exception; in a process of its own, since logging is configured once per process."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import structlog
from service_kit.logging import configure_logging

def fail(token):
    raise ValueError("wrong")

configure_logging("test", sys.argv[1], "INFO")
try:
    fail("".join(["sec", "ret"]))
except ValueError:
    structlog.get_logger().exception("it_failed")
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_local_variables(log_format: str) -> None:
    command = [sys.executable, "-c", PROGRAM, log_format]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own program
    assert "it_failed" in output
    assert "ValueError" in output
    assert "secret" not in output
