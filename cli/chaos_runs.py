"""chaos run|replay|check: workloads under faults by a plan, and the verdict on what their clients saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import Json
from cli.output import Failed, Mistake, document, say


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="YAML, TOML or JSON.")],
    seed: Annotated[int | None, typer.Option("--seed", help="Overrules the plan's.")] = None,
    duration: Annotated[str, typer.Option("--duration", help="Overrules the plan's, e.g. 60s.")] = "",
    folder: Annotated[Path | None, typer.Option("--folder", help="Where everything goes; made if need be.")] = None,
    as_json: Json = False,
) -> int:
    """Run a workload under faults, by a plan.

    On a cluster of its own, and then comes the verdict. Exit code 1: anomalies, or it did not heal.
    """
    from chaos.plan import longer_than_nothing, read_plan, seconds

    changes: dict[str, Any] = {}
    if seed is not None:
        if seed < 0:
            raise Mistake(f"--seed {seed}: seeds are numbers from 0 on")
        changes["seed"] = seed
    if duration:
        changes["duration_s"] = longer_than_nothing("--duration", seconds(duration))
    return _run(read_plan(plan), changes, folder, as_json)


def replay(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="What a run has left.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="Where the new run goes.")] = None,
    as_json: Json = False,
) -> int:
    """Start a run again from its folder.

    The same plan and seed; processes are free, so outcomes may differ.
    """
    from chaos.plan import read_plan

    if not (source / "plan.json").is_file():
        raise Mistake(f"{source} holds no plan.json", "name the folder that `odradek chaos run` left")
    return _run(read_plan(source / "plan.json"), {}, folder, as_json)


def check(
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="JSON lines, as workloads write them.")],
    allow: Annotated[list[str] | None, typer.Option("--allow", metavar="KIND", help="No anomaly here.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count G0 and G1c-ww too, normal in Kafka.")] = False,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Explain so many of each kind.")] = 3,
    as_json: Json = False,
) -> int:
    """Judge a history of clients.

    Lost writes, duplicates, aborted reads, … Exit code 1: anomalies, 2: not a history.
    """
    from chaos.check import judge
    from chaos.checkers import KINDS
    from chaos.history import HistoryInvalid

    for kind in allow or ():
        if kind not in KINDS:
            raise Mistake(f"--allow {kind}: there is no such kind of anomaly", f"there are {', '.join(KINDS)}")
    try:
        verdict = judge(history, allow=allow or (), strict=strict, examples=examples)
    except OSError as error:
        raise Mistake(f"can't read {history}: {error.strerror}") from None
    except HistoryInvalid as error:
        raise Mistake(str(error), "docs/histories.md tells what a history looks like") from None
    if as_json:
        document(verdict.plain())
    else:
        print(verdict.text)
    return 0 if verdict.is_valid else 1


def _run(plan: Any, changes: dict[str, Any], folder: Path | None, as_json: bool) -> int:
    try:
        from chaos.run import fresh_folder, run_plan
    except ModuleNotFoundError as missing:
        if missing.name != "confluent_kafka":
            raise
        raise Failed("the workloads are librdkafka's clients", "pip install confluent-kafka") from None
    wanted = plan.with_changes(changes)
    place = folder or fresh_folder(wanted)
    result = run_plan(wanted, place, say=say)
    if as_json:
        document(result.plain())
    else:
        print(result.line())
        if not result.verdict.is_valid:
            print(result.verdict.text)
        print(f"plan, history, timeline and verdict: {place}")
    return 0 if result.is_good else 1
