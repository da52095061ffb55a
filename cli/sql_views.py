"""What `odradek sql` prints: tables, one row after the other, a live table on a terminal, or JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cli.output import line, table

if TYPE_CHECKING:
    from streams.sql import PushResult, Result

_MOST_LIVE_ROWS = 30


class View:
    """`is_live` is for terminals: rows that keep coming stand in one table that changes."""

    def __init__(self, *, as_json: bool, is_live: bool) -> None:
        self._as_json = as_json
        self._is_live = is_live

    def show(self, result: Result) -> None:
        """Print it; rows that keep coming until there are no more, or Ctrl-C."""
        from streams.sql import PushResult

        if isinstance(result, PushResult):
            try:
                self._follow(result)
            finally:
                result.close()
        elif self._as_json:
            self._json(result)
        else:
            self._words(result)
        sys.stdout.flush()

    # -- words

    def _words(self, result: Result) -> None:
        from streams.sql.results import shown

        if result.title:
            print(result.title)
        if result.is_table:
            types = [column.type for column in result.columns]
            cells = [[shown(value, type_) for value, type_ in zip(row, types, strict=True)] for row in result.rows]
            table([column.name for column in result.columns], cells)
        if result.message:
            print(result.message)

    # -- JSON

    def _json(self, result: Result) -> None:
        if not result.is_table:
            print(line({"done": result.message}))
        for row in result.rows:
            print(line(self._document(result, row)))

    def _document(self, result: Result, row: tuple[Any, ...]) -> dict[str, Any]:
        from streams.sql.results import plain

        columns = zip(result.columns, row, strict=True)
        return {column.name: plain(value, column.type) for column, value in columns}

    # -- rows that keep coming

    def _follow(self, result: PushResult) -> None:
        from streams.sql.results import shown

        if self._as_json:
            for row in result:
                print(line(self._document(result, row)), flush=True)
            return
        if self._is_live:
            self._live(result)
            return
        print("\t".join(column.name for column in result.columns), flush=True)
        for row in result:
            cells = [shown(value, column.type) for column, value in zip(result.columns, row, strict=True)]
            print("\t".join(cells), flush=True)

    def _live(self, result: PushResult) -> None:
        """The last rows; of a table the last of each key, those that changed last at the bottom."""
        from rich.console import Group
        from rich.live import Live
        from rich.markup import escape
        from rich.table import Table
        from rich.text import Text

        from streams.sql.results import shown

        rows: dict[Any, list[str]] = {}
        came = 0

        def drawn() -> Group:
            view = Table(box=None, header_style="bold cyan", pad_edge=False)
            for column in result.columns:
                view.add_column(escape(column.name))
            for cells in list(rows.values())[-_MOST_LIVE_ROWS:]:
                view.add_row(*map(escape, cells))
            return Group(view, Text(f"{came} rows; Ctrl-C ends it", style="dim"))

        with Live(get_renderable=drawn, refresh_per_second=8, transient=False):
            for row in result:
                came += 1
                cells = [shown(value, column.type) for column, value in zip(result.columns, row, strict=True)]
                key = tuple(cells[place] for place in result.key_places) if result.key_places else came
                rows.pop(key, None)
                rows[key] = cells
                if not result.key_places and len(rows) > 2 * _MOST_LIVE_ROWS:
                    for old in list(rows)[:_MOST_LIVE_ROWS]:
                        del rows[old]
