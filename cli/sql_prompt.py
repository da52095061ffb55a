"""The prompt of `odradek sql`: lines until a semicolon, history over sessions, names to complete."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from cli.sql_views import View

if TYPE_CHECKING:
    from streams.sql import SqlEngine

_HISTORY = Path(os.environ.get("ODRADEK_SQL_HISTORY", "~/.odradek_sql_history")).expanduser()
_WORDS = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "HAVING", "PARTITION BY", "WINDOW TUMBLING (SIZE", "WINDOW HOPPING (SIZE",
    "WINDOW SESSION (", "EMIT CHANGES", "EMIT FINAL", "LIMIT", "CREATE STREAM", "CREATE TABLE", "INSERT INTO",
    "LEFT JOIN", "JOIN", "WITHIN", "GRACE PERIOD", "SHOW STREAMS", "SHOW TABLES", "SHOW TOPICS", "SHOW QUERIES",
    "SHOW FUNCTIONS", "SHOW PROPERTIES", "DESCRIBE", "EXPLAIN", "DROP STREAM", "DROP TABLE", "TERMINATE", "PRINT",
    "SET", "VALUES", "ALTER", "CREATE TYPE", "DEFINE", "RUN SCRIPT", "SHOW TYPES", "SHOW VARIABLES",
)  # fmt: skip
_HELP = """Statements end with ;  Ctrl-C ends rows that keep coming, or forgets what was typed; exit leaves.
SHOW STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS   DESCRIBE name   EXPLAIN query   PRINT topic"""


class Prompt:
    """Runs until the person leaves. Queries made here stop then, unless `odradek sql --serve` runs elsewhere."""

    def __init__(self, engine: SqlEngine, view: View, address: str) -> None:
        self._engine = engine
        self._view = view
        self._address = address

    def run(self) -> None:
        from cli.sql import say_goodbye

        self._remember()
        # whoever started us may ignore it (a shell does for what it starts in the background); a prompt lives by it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print(f"odradek sql at {self._address}; help explains")
        typed = ""
        while True:
            try:
                typed += input("    > " if typed else "sql> ") + "\n"
            except KeyboardInterrupt:
                print()
                typed = ""
                continue
            except EOFError:
                print()
                break
            word = typed.strip().rstrip(";").lower()
            if word in ("exit", "quit"):
                break
            if word in ("help", "?", ""):
                if word:
                    print(_HELP)
                typed = ""
            elif self._is_complete(typed):
                self._execute(typed)
                typed = ""
        say_goodbye(self._engine)

    def _is_complete(self, typed: str) -> bool:
        from streams.sql.tokens import is_complete

        return is_complete(typed)

    def _execute(self, typed: str) -> None:
        from cli.sql import run
        from model.errors import OdradekError

        try:
            run(self._engine, typed, self._view)
        except (OdradekError, TimeoutError) as error:
            print(error)
        except KeyboardInterrupt:
            print()

    # -- readline

    def _remember(self) -> None:
        try:
            import readline
        except ImportError:  # a Python without it still has a prompt
            return
        with contextlib.suppress(OSError):
            readline.read_history_file(_HISTORY)
        readline.set_history_length(2000)
        readline.set_completer_delims(" \t\n,()=<>+-*/;")
        readline.set_completer(self._completed)
        readline.parse_and_bind("tab: complete")

        def save() -> None:
            with contextlib.suppress(OSError):
                readline.write_history_file(_HISTORY)

        atexit.register(save)

    def _completed(self, begun: str, index: int) -> str | None:
        engine = self._engine
        sources = list(engine.catalog)
        names = [source.name for source in sources] + [c.name for source in sources for c in source.columns]
        functions = [f"{name}(" for name in (*engine.functions.names(), *engine.aggregates.names(), "EXPLODE")]
        fitting = [word for word in (*_WORDS, *names, *functions) if word.startswith(begun.upper())]
        fitting = [word.lower() if begun.islower() else word for word in dict.fromkeys(fitting)]
        return fitting[index] if index < len(fitting) else None
