"""What is a ChatKit attachment that can be stored, and under which name it is saved."""

import pytest

from contracts.conversations import JsonObject
from history_service.attachment_content import attachment_of, content_disposition
from history_service.errors import InvalidAttachmentError

IMAGE: JsonObject = {
    "id": "atc_1",
    "type": "image",
    "name": "Übung 1.png",
    "mime_type": "image/png",
    "preview_url": "https://example.org/p",
    "thread_id": "thr_1",
}


def test_columns_come_from_the_payload() -> None:
    content = attachment_of(IMAGE)
    assert (content.id, content.conversation_id, content.name) == ("atc_1", "thr_1", "Übung 1.png")
    assert content.payload is IMAGE
    assert attachment_of({"id": "a", "type": "file", "name": "a", "mime_type": "a/b"}).conversation_id is None


@pytest.mark.parametrize("mime_type", ["text/plain", "audio/webm;codecs=opus", 'text/x; charset="utf 8"', "a/b+c.d"])
def test_mime_types(mime_type: str) -> None:
    assert attachment_of(IMAGE | {"mime_type": mime_type}).mime_type == mime_type


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "a/b"},
        {"type": "folder"},
        {"name": ""},
        {"name": "x" * 256},
        {"name": "a\nb"},
        {"name": "a\x7fb"},
        {"name": 5},
        {"mime_type": None},
        {"mime_type": "text"},
        {"mime_type": "text/plain\r\nX-Evil: 1"},
        {"mime_type": 'text/plain; a="\r\n"'},
        {"mime_type": "text/" + "x" * 123},
        {"thread_id": "a b"},
        {"thread_id": 7},
    ],
)
def test_what_is_no_attachment(changes: JsonObject) -> None:
    with pytest.raises(InvalidAttachmentError):
        attachment_of(IMAGE | changes)


def test_the_id_is_the_one_it_was_sent_under() -> None:
    assert attachment_of(IMAGE, "atc_1").id == "atc_1"
    with pytest.raises(InvalidAttachmentError):
        attachment_of(IMAGE, "atc_2")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ('"; x="\\', "attachment; filename=\"_; x=__\"; filename*=UTF-8''%22%3B%20x%3D%22%5C"),
        ("ü€.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%C3%BC%E2%82%AC.pdf"),
    ],
)
def test_content_disposition(name: str, header: str) -> None:
    assert content_disposition(name) == header
    assert header.isascii()
