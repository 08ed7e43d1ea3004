"""Settings of the launcher."""

from pathlib import Path

import pytest

from launcher.model import choose_model
from launcher.settings import SettingsError, load_settings, parse_dotenv


def test_a_dotenv_file_may_have_comments_quotes_and_exports() -> None:
    text = "# note\n\nexport A = 1 # one\nB='two # words'\nC=\"x=y\"\nD=\n"
    assert parse_dotenv(text) == {"A": "1", "B": "two # words", "C": "x=y", "D": ""}


def test_a_dotenv_line_that_is_none_is_named() -> None:
    with pytest.raises(SettingsError, match="line 2"):
        parse_dotenv("A=1\nnonsense\n")


def test_the_environment_wins_over_the_file_and_empty_means_unset(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHAT_PORT=1111\nTOOLS_PORT=2222\nREDIS_URL=\n")
    settings = load_settings(tmp_path, {"CHAT_PORT": "3333", "WORKERS": ""})

    assert settings.ports["CHAT_PORT"] == 3333
    assert settings.ports["TOOLS_PORT"] == 2222
    assert settings.ports["GATEWAY_PORT"] == 8000
    assert settings.workers == 2
    assert settings.redis_url is None


@pytest.mark.parametrize(("given", "expected"), [("data here", "data here"), ("/var/x", "/var/x"), (None, ".data")])
def test_the_data_folder_is_relative_to_the_project(tmp_path: Path, given: str | None, expected: str) -> None:
    environ = {} if given is None else {"DATA_DIR": given}
    assert load_settings(tmp_path, environ).data_dir == tmp_path / expected


@pytest.mark.parametrize("name", ["GATEWAY_PORT", "WORKERS", "STOP_GRACE_SECONDS", "START_TIMEOUT_SECONDS"])
@pytest.mark.parametrize("value", ["-1", "x", "1e999", "99999999"])
def test_impossible_numbers_are_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    if name.endswith("_SECONDS") and value == "99999999":
        assert load_settings(tmp_path, {name: value})
        return
    with pytest.raises(SettingsError, match=name):
        load_settings(tmp_path, {name: value})


@pytest.mark.parametrize(
    ("environment", "provider"),
    [
        ({}, "demo"),
        ({"OPENAI_API_KEY": "k"}, "openai"),
        ({"MODEL_BASE_URL": "http://m"}, "compatible"),
        ({"OPENAI_API_KEY": "k", "MODEL_BASE_URL": "http://m"}, "openai"),
        ({"OPENAI_API_KEY": "k", "MODEL_PROVIDER": "demo"}, "demo"),
    ],
)
def test_the_model_provider_follows_from_what_is_set(environment: dict[str, str], provider: str) -> None:
    assert choose_model(environment).provider == provider


@pytest.mark.parametrize("provider", ["openai", "compatible", "other"])
def test_a_provider_without_what_it_needs_is_refused(provider: str) -> None:
    with pytest.raises(SettingsError, match="MODEL_PROVIDER"):
        choose_model({"MODEL_PROVIDER": provider})
