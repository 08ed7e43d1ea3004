"""What is logged, and how; in a process of its own, since logging is configured once per process."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

HEAD = """
import logging, sys
import structlog
from service_kit.logging import configure_logging

configure_logging("test", sys.argv[1], "INFO")
log = structlog.get_logger()
"""

FAILS = """
def fail(token):
    raise ValueError("wrong")

try:
    fail("".join(["sec", "ret"]))
except ValueError as error:
    log.exception("it_failed")
    log.error("it_failed", exc_info=error)
    logging.getLogger("library").exception("it failed")
"""

SAYS = """
structlog.contextvars.bind_contextvars(request_id="r1")
log.info("run_created", run_id="run_1", count=2)
logging.getLogger("library").info("%s of a library", "news")
for name in ("httpx", "mcp", "openai.agents", "uvicorn.error"):
    logging.getLogger(name).info("too much")
    logging.getLogger(name).warning("from %s", name)
log.debug("too_much")
"""

LINES, WIDTH = 150, 20_000
CROWD = f"""
from threading import Thread

def ours(letter):
    for number in range({LINES}):
        log.info("ours", text=letter * {WIDTH}, number=number)

def a_librarys(letter):
    for number in range({LINES}):
        logging.getLogger("library").info(letter * {WIDTH})

threads = [Thread(target=ours, args="a"), Thread(target=ours, args="b"), Thread(target=a_librarys, args="c")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

CANCELLED = """
import asyncio

for error in (asyncio.CancelledError(), ValueError()):
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
"""

UNHEARD = """
for _ in range(3):
    log.info("unheard")
    logging.getLogger("library").info("unheard")
sys.stderr.write("went on")
"""


def command_of(program: str, log_format: str) -> list[str]:
    """Return what runs a program with logging configured."""
    return [sys.executable, "-c", HEAD + program, log_format]


def output_of(program: str, log_format: str = "json") -> str:
    """Return what a program prints, as it does in a container: without Python's own buffer."""
    command = command_of(program, log_format)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # noqa: TID251 - a child's environment
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout  # noqa: S603 - our own program


def logged(program: str) -> list[dict[str, Any]]:
    """Return what each line of a program's output holds."""
    return [json.loads(line) for line in output_of(program).splitlines()]


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_local_variables(log_format: str) -> None:
    output = output_of(FAILS, log_format)
    assert (output.count("it_failed"), output.count("it failed")) == (2, 1)
    assert output.count("ValueError: wrong") == 3
    assert "secret" not in output


def test_our_events_and_those_of_libraries_have_one_shape() -> None:
    ours, news, *warnings = logged(SAYS)
    context = {"service": "test", "request_id": "r1"}
    assert ours.items() >= {**context, "event": "run_created", "run_id": "run_1", "count": 2, "level": "info"}.items()
    assert news.items() >= {**context, "event": "news of a library", "level": "info"}.items()
    assert list(ours)[:3] == ["run_id", "count", "event"]
    assert [list(line)[-2:] for line in (ours, news)] == [["level", "timestamp"]] * 2
    assert all(line["timestamp"].endswith("Z") for line in (ours, news))
    expected = [("from httpx", "warning"), ("from mcp", "warning"), ("from openai.agents", "warning")]
    assert [(line["event"], line["level"]) for line in warnings] == [*expected, ("from uvicorn.error", "warning")]


def test_lines_of_several_threads_are_whole() -> None:
    lines = logged(CROWD)
    assert len(lines) == 3 * LINES
    texts = [line["event"] if line["event"] != "ours" else line["text"] for line in lines]
    assert all(text == text[0] * WIDTH for text in texts)


def test_a_server_that_stops_does_not_log_each_request_that_it_cancels() -> None:
    (line,) = logged(CANCELLED)
    assert "ValueError" in line["exception"]


def test_a_program_goes_on_when_its_logs_cannot_be_written() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(command_of(UNHEARD, "json"), stdout=writing, stderr=subprocess.PIPE, text=True) as program:  # noqa: S603 - our own program
        os.close(writing)
        assert program.stderr is not None
        assert "went on" in program.stderr.read()
