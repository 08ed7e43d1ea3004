"""Words, pages and snippets of a search; pure functions."""

import html
import math
import re
import struct
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from history_service.domain import is_valid_id
from history_service.errors import InvalidCursorError

SYMBOLS = "<&/_.@-~"
"""What Postgres' parser would look for compounds with, for as long as minutes (see migration 0003)."""

MARK_START, MARK_STOP = "\x02", "\x03"
_DISGUISES = "".join(chr(0x10 + number) for number in range(len(SYMBOLS)))

DISGUISE_FROM = SYMBOLS + MARK_START + MARK_STOP
DISGUISE_TO = _DISGUISES + "  "
"""Control characters are blanks for the parser: symbols travel through it as those and come back afterwards."""

_REVEAL = str.maketrans(_DISGUISES, SYMBOLS)
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class SearchPlace:
    """The place of a hit among all hits: by rank, then time of what was found, then id; greatest first."""

    rank: float
    written_at: datetime
    conversation_id: str

    def __str__(self) -> str:
        rank = struct.pack(">f", self.rank).hex()
        return f"{self.conversation_id}@{rank}.{(self.written_at - _EPOCH) // _MICROSECOND}"


def search_cursor(text: str) -> SearchPlace:
    """Parse `<id>@<rank>.<microseconds>`. Raises InvalidCursorError."""
    identifier, _, place = text.partition("@")
    rank, _, micros = place.partition(".")
    try:
        (number,) = struct.unpack(">f", bytes.fromhex(rank))
        written_at = _EPOCH + int(micros) * _MICROSECOND
    except (ValueError, struct.error, OverflowError) as error:
        raise InvalidCursorError() from error
    if not is_valid_id(identifier) or not math.isfinite(number):
        raise InvalidCursorError()
    return SearchPlace(number, written_at, identifier)


def any_form_of(query: str) -> str:
    """Return a tsquery, as Postgres writes it, that also finds its words written otherwise: composed or decomposed.

    Texts are stored as they came, `ü` as one character or, as from file names of macOS, as two (Unicode's forms NFC and
    NFD). What is asked has both forms, for it is short: a text full of marks takes seconds to bring into either.
    """
    return _LEXEME.sub(_any_form, query)


_LEXEME = re.compile(r"'(?:[^'\\]|''|\\.)*'")


def _any_form(lexeme: re.Match[str]) -> str:
    asked = lexeme.group()
    forms = dict.fromkeys((asked, unicodedata.normalize("NFC", asked), unicodedata.normalize("NFD", asked)))
    return asked if len(forms) == 1 else f"({' | '.join(forms)})"


def snippet_of(part: str, *, cut_before: bool, cut_after: bool) -> str:
    """Return a marked part of a text as HTML; where it was cut, an ellipsis stands for what may be half a word."""
    text = part.translate(_REVEAL)
    if cut_before:
        text = "…" + _without_first_word(text)
    if cut_after:
        text = _without_first_word(text[::-1])[::-1] + "…"
    escaped = html.escape(text)
    return escaped.replace(MARK_START, "<mark>").replace(MARK_STOP, "</mark>")


def _without_first_word(text: str) -> str:
    """Drop what stands before the first blank, unless that is long or marked."""
    word, blank, rest = text.partition(" ")
    if not blank or len(word) > _LONGEST_HALF_WORD or MARK_START in word or MARK_STOP in word:
        return text
    return blank + rest


_LONGEST_HALF_WORD = 30
