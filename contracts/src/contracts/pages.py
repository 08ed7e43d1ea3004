"""The shape of every list: keyset pagination by the id of the last row seen."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

Row = TypeVar("Row")

Order = Literal["asc", "desc"]

DEFAULT_PAGE_LIMIT = 20
MAX_PAGE_LIMIT = 100


class Page(BaseModel, Generic[Row]):
    """Rows in the order asked for; pass `after` back to get the next ones while `has_more`."""

    data: list[Row]
    has_more: bool = False
    after: str | None = None
