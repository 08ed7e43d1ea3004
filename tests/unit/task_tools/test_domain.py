"""Rules about tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.problems import InvalidRequestError
from task_tools.domain import (
    check_call_key,
    clean_description,
    clean_title,
    digest_of,
    is_storable,
    title_key_of,
)
from task_tools.errors import CallKeyInvalidError, DescriptionTooLongError, TitleMissingError, TitleTooLongError


def test_a_title_is_one_line_without_blanks_around_it() -> None:
    assert clean_title("  Buy\n\t milk ") == "Buy milk"


def test_the_longest_title_passes_and_one_more_does_not() -> None:
    assert clean_title("x" * 200) == "x" * 200
    with pytest.raises(TitleTooLongError):
        clean_title("x" * 201)


@pytest.mark.parametrize("title", ["", " ", "\n\u2003"])
def test_a_title_of_blanks_is_none(title: str) -> None:
    with pytest.raises(TitleMissingError):
        clean_title(title)


def test_an_empty_description_is_none() -> None:
    assert clean_description(None) is None
    assert clean_description("  ") is None
    assert clean_description(" two\nlines ") == "two\nlines"
    with pytest.raises(DescriptionTooLongError):
        clean_description("x" * 2001)


@given(st.text())
def test_what_passes_can_be_stored(text: str) -> None:
    for clean in (clean_title, clean_description):
        try:
            cleaned = clean(text)
        except InvalidRequestError:
            continue
        assert cleaned is None or is_storable(cleaned)
        assert cleaned is None or "\0" not in cleaned.encode().decode()


@given(st.text(min_size=1).filter(lambda text: bool(text.strip())))
def test_titles_are_found_in_any_case(title: str) -> None:
    assert title_key_of(title) == title_key_of(f" {title.casefold()} ")


def test_case_and_blanks_do_not_tell_titles_apart() -> None:
    assert title_key_of("Straße  FEGEN") == title_key_of("strasse fegen")


@pytest.mark.parametrize("key", ["", "x" * 301, "a\nb", "a\0b", "\ud800"])
def test_a_bad_key_is_refused(key: str) -> None:
    with pytest.raises(CallKeyInvalidError):
        check_call_key(key)


def test_the_digest_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert digest_of({"a": 1, "b": None}) == digest_of({"b": None, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
    assert digest_of({"a": 1}) != digest_of({"a": 1, "b": None})
