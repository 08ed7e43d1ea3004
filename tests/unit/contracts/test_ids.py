from datetime import UTC, datetime, timedelta

import pytest

from contracts.ids import new_id, time_of


def test_ids_sort_in_the_order_they_were_made_and_never_collide() -> None:
    ids = [new_id("msg") for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC)
    assert abs(time_of(new_id("run")) - before) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["", "msg_", "msg_12345678", "msg_" + "0" * 32])
def test_other_ids_have_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        time_of(text)
