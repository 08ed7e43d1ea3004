"""Rules of the launcher that need no process."""

import io
from pathlib import Path

import pytest

from bootstrap.dotenv import wants_page
from bootstrap.stamps import digest, is_current, tree
from launcher.console import Console
from launcher.node import parse_version
from launcher.supervised import LONGEST_BACKOFF_SECONDS, backoff_seconds, describe_end


def test_the_pause_before_a_restart_doubles_up_to_a_bound() -> None:
    assert [backoff_seconds(failures) for failures in (0, 1, 2, 3)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff_seconds(100) == LONGEST_BACKOFF_SECONDS


def test_the_end_of_a_process_is_said_in_words() -> None:
    assert describe_end(3) == "ended with exit code 3"
    assert describe_end(-9) == "was ended by SIGKILL"


@pytest.mark.parametrize(("text", "version"), [("v20.11.1\n", (20, 11)), ("v8.0.0", (8, 0)), ("", (0, 0))])
def test_the_version_of_node(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_lines_carry_the_programs_name_and_no_colour_into_a_file() -> None:
    stream = io.StringIO()
    Console(stream).line("gateway", "hello")
    assert stream.getvalue() == "gateway          | hello\n"


def test_a_console_whose_reader_has_gone_falls_silent() -> None:
    stream = io.StringIO()
    console = Console(stream)
    stream.close()
    console.say("nobody hears this")


@pytest.mark.parametrize(
    ("environ", "file", "wanted"),
    [({}, "", True), ({"UI": "0"}, "UI=1", False), ({}, "UI=0 # not today", False), ({"UI": ""}, "UI='off'", False)],
)
def test_the_page_is_wanted_unless_switched_off(
    tmp_path: Path, environ: dict[str, str], file: str, wanted: bool
) -> None:
    (tmp_path / ".env").write_text(file)
    assert wants_page(tmp_path, environ) is wanted


def test_a_stamp_is_current_until_a_source_changes(tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "left out").write_text("1")
    source = tmp_path / "source"
    source.write_text("1")
    stamp = tmp_path.with_name("stamp")
    stamp.write_text(digest(tree(tmp_path, frozenset({"node_modules"}))))

    (tmp_path / "node_modules" / "left out").write_text("2")
    assert is_current(stamp, digest(tree(tmp_path, frozenset({"node_modules"}))))
    source.write_text("2")
    assert not is_current(stamp, digest(tree(tmp_path, frozenset({"node_modules"}))))
