"""Pages of a list that changes while it is read: nothing comes twice, and nothing that stays is left out."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.ids import new_id
from contracts.pages import Order
from history_client import UserHistory
from tests.integration.history_service.conftest import History
from tests.support.history import conversation_put, item, run_create, user_message

Step = tuple[str, int]
PageOfIds = tuple[list[str], bool, str | None]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 3)),
        st.tuples(st.just("add out of sight"), st.integers(1, 2)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("delete the last one read"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 4)),
    ),
    max_size=12,
)


@dataclass
class Listed:
    """One list of a user's: rows are added at its young end. `rows` are its ids, oldest first."""

    user: UserHistory
    conversation_id: str
    rows: list[str] = field(default_factory=list[str])

    async def add(self) -> None:
        self.rows.append(await self.add_row())

    async def delete(self, row_id: str) -> None:
        await self.delete_row(row_id)
        self.rows.remove(row_id)

    async def add_row(self) -> str:
        raise NotImplementedError

    async def add_out_of_sight(self) -> None:
        raise NotImplementedError

    async def delete_row(self, row_id: str) -> None:
        raise NotImplementedError

    async def page(self, limit: int, after: str | None, order: Order) -> PageOfIds:
        raise NotImplementedError


class Items(Listed):
    async def add_row(self) -> str:
        payload = user_message(self.conversation_id)
        await self.user.append_item(self.conversation_id, payload)
        return payload["id"]

    async def add_out_of_sight(self) -> None:
        await self.user.append_item(
            self.conversation_id, item(self.conversation_id, "hidden_context_item", content="x")
        )

    async def delete_row(self, row_id: str) -> None:
        await self.user.delete_item(self.conversation_id, row_id)

    async def page(self, limit: int, after: str | None, order: Order) -> PageOfIds:
        page = await self.user.list_items(self.conversation_id, limit=limit, after=after, order=order)
        return [row["id"] for row in page.data], page.has_more, page.after


class Messages(Items):
    async def page(self, limit: int, after: str | None, order: Order) -> PageOfIds:
        page = await self.user.list_messages(self.conversation_id, limit=limit, after=after, order=order)
        return [row.id for row in page.data], page.has_more, page.after


class ActiveRuns(Listed):
    """Runs that have not ended: an end takes one out of the list."""

    async def add_row(self) -> str:
        return (await self.user.create_run(self.conversation_id, run_create(self.conversation_id))).run.id

    async def add_out_of_sight(self) -> None:
        other = new_id("thr")
        await self.user.create_run(other, run_create(other, new=True))

    async def delete_row(self, row_id: str) -> None:
        await self.user.cancel_run(row_id)

    async def page(self, limit: int, after: str | None, order: Order) -> PageOfIds:
        page = await self.user.list_runs(self.conversation_id, active=True, limit=limit, after=after, order=order)
        return [row.id for row in page.data], page.has_more, page.after


class Conversations(Listed):
    async def add_row(self) -> str:
        return (await self.user.put_conversation(conversation_put())).id

    async def add_out_of_sight(self) -> None:
        """Nobody else's conversation is in the list; see the tests of tenancy."""

    async def delete_row(self, row_id: str) -> None:
        await self.user.delete_conversation(row_id)

    async def page(self, limit: int, after: str | None, order: Order) -> PageOfIds:
        page = await self.user.list_conversations(limit=limit, after=after, order=order)
        return [row.id for row in page.data], page.has_more, page.after


async def empty_list(history: History, kind: type[Listed]) -> Listed:
    """A new user's list; their only conversation is a row of the list of conversations."""
    user = history.user(new_id("task"))
    conversation = await user.put_conversation(conversation_put())
    return kind(user, conversation.id, [conversation.id] if kind is Conversations else [])


@dataclass
class Reading:
    """A reader on its way through a list."""

    listed: Listed
    order: Order
    there_all_the_time: set[str]
    seen: list[str] = field(default_factory=list[str])
    cursor: str | None = None
    has_more: bool = True

    async def read(self, limit: int) -> None:
        ids, self.has_more, after = await self.listed.page(limit, self.cursor, self.order)
        assert len(ids) <= limit
        assert len(ids) == limit or not self.has_more
        self.seen += ids
        self.cursor = after or self.cursor

    async def delete(self, row_id: str) -> None:
        await self.listed.delete(row_id)
        self.there_all_the_time.discard(row_id)


async def play(listed: Listed, order: Order, rows: int, steps: list[Step]) -> None:
    for _ in range(rows):
        await listed.add()
    ever = list(listed.rows)
    reading = Reading(listed, order, set(listed.rows))
    for kind, number in steps:
        match kind:
            case "add":
                for _ in range(number):
                    await listed.add()
                    ever.append(listed.rows[-1])
            case "add out of sight":
                for _ in range(number):
                    await listed.add_out_of_sight()
            case "read" if reading.has_more:
                await reading.read(number)
            case "delete" if listed.rows:
                await reading.delete(listed.rows[number % len(listed.rows)])
            case "delete the last one read" if reading.seen and reading.seen[-1] in listed.rows:
                await reading.delete(reading.seen[-1])
            case _:
                pass
    while reading.has_more:
        await reading.read(3)

    in_order = ever if order == "asc" else ever[::-1]
    assert reading.seen == [row for row in in_order if row in set(reading.seen)], "each once, in order"
    assert reading.there_all_the_time <= set(reading.seen)


@pytest.mark.parametrize("kind", [Items, Messages, ActiveRuns, Conversations])
@given(order=st.sampled_from(["asc", "desc"]), rows=st.integers(0, 6), steps=STEPS)
@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_list_that_changes_while_it_is_read(
    history: History, kind: type[Listed], order: Order, rows: int, steps: list[Step]
) -> None:
    await play(await empty_list(history, kind), order, rows, steps)
