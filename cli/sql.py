"""sql: statements over streams and tables, from a prompt, a file or the command line."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, client_config
from cli.output import Failed, Mistake, say
from model.errors import OdradekError

if TYPE_CHECKING:
    from streams.sql import SqlEngine


def sql(
    statements: Annotated[
        list[str], typer.Option("--execute", "-e", metavar="STATEMENT", help="Run this; repeatable.")
    ] = NOTHING,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Run the statements of a file; - is stdin.")] = None,
    udfs: Annotated[
        list[str], typer.Option("--udf", metavar="FILE", help="A Python file with @udf functions; repeatable.")
    ] = NOTHING,
    serve: Annotated[bool, typer.Option("--serve", help="Stay, and run the queries there are.")] = False,
    service: Annotated[str, typer.Option("--service", help="Which queries belong together.")] = "default",
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Streams and tables in SQL.

    Without statements a prompt, on a terminal. Queries of CREATE … AS and INSERT INTO … SELECT run as long as some
    engine of their service does: this prompt, or `odradek sql --serve`.
    """
    try:
        from streams.sql import SqlEngine, SqlError
    except ImportError as error:
        raise Failed(f"{error.name} is missing", "pip install 'odradek[sql]'") from None
    from cli.sql_views import View

    text = ";\n".join(statement.strip().rstrip(";") for statement in statements)
    if file is not None:
        if text:
            raise Mistake("--execute and --file contradict each other", "give one of them")
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    is_prompt = not text and not serve and sys.stdin.isatty() and sys.stdout.isatty()
    if not text and not serve and not is_prompt:
        text = sys.stdin.read()
    for path in udfs:
        _load(path)
    config: dict[str, Any] = dict(client_config(bootstrap, sets))
    address = str(config.pop("bootstrap.servers"))
    view = View(as_json=as_json, is_live=sys.stdout.isatty() and not as_json)
    with SqlEngine(address, service=service, takes_up=is_prompt or serve, **config) as engine:
        try:
            engine.check(engine.expanded(text))
            if is_prompt:
                from cli.sql_prompt import Prompt

                Prompt(engine, view, address).run()
                return
            run(engine, text, view)
        except SqlError as error:
            raise Mistake(str(error)) from None
        if serve:
            _serve(engine)
        else:
            say_goodbye(engine)


def run(engine: SqlEngine, text: str, view: Any) -> None:
    """Statement by statement, so that answers come while later ones still run. Raises SqlError."""
    from streams.sql import SqlError

    text = engine.expanded(text)
    for statement in engine.check(text):
        try:
            result = engine.run(statement)
        except SqlError as error:
            raise error.in_text(text) from None
        finally:
            _tell_problems(engine)
        view.show(result)


def say_goodbye(engine: SqlEngine) -> None:
    """Queries end with us: say so, and what helps."""
    count = len(engine.definitions.started)
    if count:
        say(f"{count} quer{'y rests' if count == 1 else 'ies rest'} from now on: `odradek sql --serve` runs them")


def _tell_problems(engine: SqlEngine) -> None:
    for problem in engine.definitions.problems:
        say(f"a statement of an earlier session can't be taken up again: {problem}")
    engine.definitions.problems.clear()


def _serve(engine: SqlEngine) -> None:
    """Until SIGTERM or Ctrl-C; what other engines define meanwhile is taken up too."""
    ends = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ends.set())
    engine.definitions.catch_up()
    _tell_problems(engine)
    say(f"serving {len(engine.definitions.queries)} queries; Ctrl-C ends it")
    trouble = ""
    while not ends.wait(1.0):
        try:
            engine.definitions.catch_up()
        except (OdradekError, TimeoutError) as error:  # the queries wait the cluster's trouble out, and so do we
            if str(error) != trouble:
                say(f"the cluster is in trouble: {error}")
            trouble = str(error)
            continue
        trouble = ""
        _tell_problems(engine)


def _load(path: str) -> None:
    """Run a Python file for the sake of its @udf functions."""
    file = Path(path).resolve()
    name = f"odradek_udfs_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise Mistake(f"--udf {path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
