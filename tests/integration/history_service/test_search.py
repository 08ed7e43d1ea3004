"""Search by title and text: what is found, in which order, how it is shown, and by whom."""

import html
import json
import unicodedata
from datetime import UTC, datetime
from typing import Literal

import pytest

from contracts.conversations import ConversationPut
from contracts.pages import Page
from contracts.search import SearchHit
from history_client import HistoryInvalidError, UserHistory
from tests.support.history import conversation_put, item, user_message


async def conversation(user: UserHistory, *texts: str, title: str | None = None) -> str:
    """Store a conversation that says these texts; returns its id."""
    stored = await user.put_conversation(conversation_put(title=title))
    for said in texts:
        await say(user, stored.id, said)
    return stored.id


async def say(user: UserHistory, conversation_id: str, said: str, item_id: str | None = None) -> str:
    message = user_message(conversation_id, said, item_id)
    await user.put_item(conversation_id, message["id"], message)
    return message["id"]


async def found(user: UserHistory, words: str) -> list[str]:
    """Return the ids of all conversations that are found."""
    return [hit.conversation.id for hit in (await user.search_conversations(words)).data]


async def snippet(user: UserHistory, words: str) -> str:
    (hit,) = (await user.search_conversations(words)).data
    return hit.snippet


async def test_texts_and_titles_are_found_once_per_conversation(alice: UserHistory) -> None:
    garden = await conversation(alice, "We planted tulips.", "More tulips!", title="The garden")
    titled = await conversation(alice, "nothing of the kind", title="Tulips in Holland")
    await conversation(alice, "roses")
    hits = (await alice.search_conversations("tulip")).data
    assert {hit.conversation.id: hit.message_id is None for hit in hits} == {garden: False, titled: True}
    assert hits[0].conversation.id == titled, "a title weighs more than a text"
    assert hits[0].snippet == "<mark>Tulips</mark> in Holland"
    assert hits[1].conversation.title == "The garden"


async def test_the_best_message_of_a_conversation_is_shown(alice: UserHistory) -> None:
    identifier = await conversation(alice, "a pear and an apple and a plum and much else besides that")
    best = await say(alice, identifier, "pear pear pear")
    await say(alice, identifier, "a pear among many other words which are not what was asked for")
    (hit,) = (await alice.search_conversations("pear")).data
    assert hit.message_id == best
    assert hit.rank > 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("running dogs", {"dogs"}),
        ("RUN DOG", {"dogs"}),
        ("dogs or cats", {"dogs", "cats"}),
        ('"lazy cats"', {"cats"}),
        ('"cats lazy"', set[str]()),
        ("sleep -dogs", {"cats"}),
        ("the", {"dogs", "cats"}),
        ("example", {"dogs"}),
        ("https://www.example.com/a_page", {"dogs"}),
        ("well-known", {"cats"}),
        ("xml", {"cats"}),
        ("dog cat", set[str]()),
        ("nothing", set[str]()),
    ],
)
async def test_words_phrases_alternatives_and_exclusions(alice: UserHistory, words: str, expected: set[str]) -> None:
    ids = {
        await conversation(alice, "The dogs were running, not asleep: sleep! https://www.example.com/a_page"): "dogs",
        await conversation(alice, "The lazy cats sleep in a <xml> tag, which is well-known."): "cats",
    }
    assert {ids[identifier] for identifier in await found(alice, words)} == expected


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Ein Fuß in Ägypten", "ägypten"),
        ("ÉCOLE NORMALE", "école"),
        ("Привет, МИР", "мир"),
        ("東京 タワー", "東京"),
        ("naïve 𐐀𐐁 text", "𐐨𐐩"),
        ("emoji 🎉 party", "party 🎉"),
        ("O'Brien's", "o'brien's"),
        ('back\\slash and 100% "quoted"', 'back\\slash 100% "quoted"'),
    ],
)
async def test_unicode_and_punctuation(alice: UserHistory, said: str, words: str) -> None:
    identifier = await conversation(alice, said)
    assert await found(alice, words) == [identifier]


@pytest.mark.parametrize(("written", "asked"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
async def test_words_are_found_however_their_marks_are_written(
    alice: UserHistory, written: Literal["NFC", "NFD"], asked: Literal["NFC", "NFD"]
) -> None:
    """As one character with its mark (NFC), or as two, as in the names of files of macOS (NFD)."""
    titled = await conversation(alice, "tea", title=unicodedata.normalize(written, "Die Äpfel"))
    said, other = [
        await conversation(alice, unicodedata.normalize(written, text))
        for text in ("Zoë's köstliche Äpfel, and tea", "Zoë's tea")
    ]
    for words, expected in (
        ("äpfel zoë's", {said}),
        ('"köstliche äpfel"', {said}),
        ("äpfel", {said, titled}),
        ("tea -äpfel", {titled, other}),
        ("äpfel or zoë", {said, titled, other}),
    ):
        assert set(await found(alice, unicodedata.normalize(asked, words))) == expected, words
    hits = await alice.search_conversations(unicodedata.normalize(asked, '"köstliche äpfel"'))
    assert unicodedata.normalize(written, "<mark>Äpfel</mark>, and tea") in hits.data[0].snippet


@pytest.mark.parametrize(
    "words", ["!!!", "-", '"', "&|!():*<->", "   ", "🎉", "'", "\\", "\u0001", "-" * 200, '"' * 199]
)
async def test_what_holds_no_word_finds_nothing(alice: UserHistory, words: str) -> None:
    await conversation(alice, "something", title="something")
    assert await alice.search_conversations(words) == Page[SearchHit](data=[])


@pytest.mark.parametrize("words", ["", "x" * 201, "nul\x00", "a\x00b"])
async def test_what_cannot_be_asked_is_refused(alice: UserHistory, words: str) -> None:
    with pytest.raises(HistoryInvalidError) as refused:
        await alice.search_conversations(words)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "after", ["x", "@", "thr_1@", "thr_1@00000000", "thr_1@zz.1", "thr_1@7f800000.1", "thr_1@00000000." + "9" * 60]
)
async def test_a_cursor_of_another_shape_is_refused(alice: UserHistory, after: str) -> None:
    with pytest.raises(HistoryInvalidError) as refused:
        await alice.search_conversations("word", after=after)
    assert refused.value.code == "invalid_cursor"


async def test_pages_have_every_conversation_once_while_others_come(alice: UserHistory) -> None:
    ids = [await conversation(alice, f"needle {'hay ' * (number % 3)}", title=None) for number in range(11)]
    seen: list[SearchHit] = []
    page = await alice.search_conversations("needle", limit=4)
    while True:
        seen += page.data
        if not page.has_more:
            break
        await conversation(alice, "needle " + "chaff " * 40)
        await say(alice, ids[0], "touched, but not with that word")
        page = await alice.search_conversations("needle", limit=4, after=page.after)
    assert sorted(hit.conversation.id for hit in seen if hit.conversation.id in ids) == sorted(ids)
    assert len({hit.conversation.id for hit in seen}) == len(seen)
    assert [hit.rank for hit in seen] == sorted((hit.rank for hit in seen), reverse=True)


async def test_equal_ranks_come_newest_first(alice: UserHistory) -> None:
    ids = [await conversation(alice, "the very same words") for _ in range(3)]
    assert await found(alice, "very same") == ids[::-1]


async def test_snippets_are_safe_to_show(alice: UserHistory) -> None:
    await conversation(alice, "<script>alert('x')</script> & \x02needle\x03 \x10 <mark>a_b</mark>")
    shown = await snippet(alice, "needle")
    assert shown.count("<mark>needle</mark>") == 1
    rest = shown.replace("<mark>needle</mark>", "needle")
    assert "<" not in rest
    assert html.unescape(rest).startswith("<script>alert('x')</script> &  needle")
    assert "<mark>a_b</mark>" in html.unescape(rest)


async def test_a_snippet_shows_the_part_of_a_long_text_that_fits(alice: UserHistory) -> None:
    await conversation(alice, "hay " * 3000 + "a sharp needle here " + "straw " * 3000)
    shown = await snippet(alice, "sharp needles")
    assert "<mark>sharp</mark> <mark>needle</mark>" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 320


async def test_a_snippet_of_one_huge_word_is_short(alice: UserHistory) -> None:
    await conversation(alice, "needle " + "x" * 40_000)
    shown = await snippet(alice, "needle")
    assert shown.startswith("<mark>needle</mark>")
    assert len(shown) < 300


async def test_stop_words_are_marked_when_they_are_all_that_was_asked(alice: UserHistory) -> None:
    await conversation(alice, "The Who were loud")
    assert await snippet(alice, "the who") == "<mark>The</mark> <mark>Who</mark> were loud"


async def test_hidden_items_are_never_found(alice: UserHistory) -> None:
    identifier = await conversation(alice, "visible")
    for kind in ("hidden_context_item", "sdk_hidden_context"):
        hidden = item(identifier, kind, content="secretword of the system")
        await alice.put_item(identifier, hidden["id"], hidden)
    assert await found(alice, "secretword") == []
    assert await found(alice, "-absent") == [identifier]


async def test_deleted_and_replaced_items_are_not_found(alice: UserHistory) -> None:
    identifier = await conversation(alice)
    first, second = await say(alice, identifier, "first draft"), await say(alice, identifier, "second draft")
    await say(alice, identifier, "final version", item_id=first)
    await alice.delete_item(identifier, second)
    assert await found(alice, "draft") == []
    assert await found(alice, "final") == [identifier]


async def test_renamed_and_deleted_conversations_are_not_found(alice: UserHistory) -> None:
    renamed, gone = await conversation(alice, title="Oldname"), await conversation(alice, "oldname")
    await alice.put_conversation(ConversationPut(id=renamed, title="Newname", created_at=datetime.now(UTC)))
    await alice.delete_conversation(gone)
    assert await found(alice, "oldname") == []
    assert await found(alice, "newname") == [renamed]


async def test_others_find_nothing_of_it(alice: UserHistory, bob: UserHistory) -> None:
    await conversation(alice, "confidential plans", title="Confidential")
    own = await conversation(bob, "plans of my own")
    assert await found(bob, "confidential") == []
    assert await found(bob, "plans") == [own]
    assert await found(bob, "-nothing") == [own]


@pytest.mark.parametrize(
    "unit",
    ["a_", "~/", "./", "a-1.", "<!--", "a", "é-", "<a '", "a.b/", "1e", "𐐀", "\u4e00", "x y ", "needle ", "'\\ "],
)
async def test_no_text_takes_long_to_store_or_find(alice: UserHistory, unit: str) -> None:
    """Postgres' parser alone takes minutes for some of these: then the statements' limit of time makes it fail."""
    size = len(json.dumps(unit, ensure_ascii=False).encode()) - 2
    identifier = await conversation(alice, "needle " + unit * (60_000 // size))
    assert await found(alice, f"needle {unit * (190 // len(unit))}"[:200]) in ([], [identifier])
    assert "<mark>needle</mark>" in await snippet(alice, "needle")
