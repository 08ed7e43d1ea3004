"""SQL written with SQLAlchemy Core, once, for asyncpg to execute.

Building and compiling a statement costs more than running it, so both happen at import. What varies from call to
call is a `bindparam("name")`; what is fixed should be a literal in the statement, so that partial indexes can be
proven to fit.
Only services with a database import this module; it needs `sqlalchemy`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

_DIALECT = asyncpg.dialect()


class Statement:
    """A compiled statement; `sql` has the driver's placeholders (`$1`)."""

    __slots__ = ("_fixed", "_names", "sql")

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("not a statement with parameters")
        self.sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        named = {bind.key for bind in compiled.bind_names if bind.required}
        defaults = compiled.construct_params(_check=False)
        self._fixed = {name: defaults[name] for name in self._names if name not in named}

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of the placeholders. Raises KeyError for one that is missing."""
        if self._fixed:
            values = {**self._fixed, **values}
        return [values[name] for name in self._names]
