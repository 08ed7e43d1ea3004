"""The file of secrets."""

import json
import stat
from pathlib import Path

import pytest

from launcher.errors import SecretsError
from launcher.secret_store import SENDERS, load_secrets


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    first = load_secrets(file)
    file.chmod(0o644)

    assert load_secrets(file) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(first.signing_keys) == set(SENDERS)
    assert len(set(first.signing_keys.values())) == len(SENDERS)
    assert first.database_password not in repr(first)


def test_what_a_newer_version_needs_is_added_and_the_rest_kept(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    first = load_secrets(file)
    content = json.loads(file.read_text())
    del content["redis_password"], content["signing_keys"]["gateway"]
    file.write_text(json.dumps({**content, "of_another_version": "kept"}))

    second = load_secrets(file)

    assert second.database_password == first.database_password
    assert second.signing_keys["chat-service"] == first.signing_keys["chat-service"]
    assert second.signing_keys["gateway"] != first.signing_keys["gateway"]
    assert json.loads(file.read_text())["of_another_version"] == "kept"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"signing_keys": {"gateway": "short"}}', '{"signing_keys": 1}'])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(text)
    with pytest.raises(SecretsError, match=r"secrets\.json is damaged"):
        load_secrets(file)
    assert file.read_text() == text
