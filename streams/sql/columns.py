"""A column: what rows are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.sql.types import SqlType


@dataclass(frozen=True, slots=True)
class Column:
    """A named value of a row."""

    name: str
    type: SqlType


def never_changes(columns: Sequence[Column]) -> bool:
    """Whether values of these can be kept as they are, and as keys of a dict."""
    return not any(column.type.is_nested for column in columns)
