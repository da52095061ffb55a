"""txn list|describe|abort."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, Yes, admin_of, place
from cli.output import Mistake, confirm, document, fields, table


def list_(
    states: Annotated[list[str], typer.Option("--state", help="Only those, e.g. Ongoing; repeatable.")] = NOTHING,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Transactional ids and what they are doing."""
    with admin_of(bootstrap, sets) as admin:
        rows = admin.list_transactions(states=states)
    if as_json:
        document([row._asdict() for row in rows])
    else:
        table(("TRANSACTIONAL ID", "PRODUCER", "STATE"), rows)


def describe(
    transactional_id: Annotated[str, typer.Argument(metavar="ID")],
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Who has it, since when, and which partitions are in it."""
    with admin_of(bootstrap, sets) as admin:
        found = admin.describe_transaction(transactional_id)
    open_ms = int(time.time() * 1000) - found.started_ms if found.started_ms > 0 else None
    if as_json:
        document({
            "transactional_id": found.transactional_id, "state": found.state, "producer_id": found.producer_id,
            "epoch": found.epoch, "timeout_ms": found.timeout_ms, "open_ms": open_ms,
            "coordinator": found.coordinator, "partitions": [str(at) for at in found.partitions],
        })  # fmt: skip
        return
    fields([("transactional id", found.transactional_id), ("state", found.state),
            ("producer", f"{found.producer_id}, epoch {found.epoch}"), ("timeout", f"{found.timeout_ms} ms"),
            ("open for", None if open_ms is None else f"{open_ms} ms"), ("coordinator", found.coordinator),
            ("partitions", " ".join(map(str, found.partitions)))])  # fmt: skip


def abort(
    transactional_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    partition: Annotated[
        str | None, typer.Option("--partition", help="With --producer: of one that hangs and has no coordinator.")
    ] = None,
    producer: Annotated[int | None, typer.Option("--producer", help="Its producer id.")] = None,
    yes: Yes = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Abort what is open under an id (its producer is fenced), or what hangs on a partition."""
    if (transactional_id is None) == (partition is None or producer is None):
        raise Mistake("say what to abort", "a transactional id, or --partition and --producer")
    what = transactional_id or f"producer {producer} on {partition}"
    confirm(f"abort the transaction of {what}?", yes=yes)
    with admin_of(bootstrap, sets) as admin:
        if transactional_id is not None:
            admin.describe_transaction(transactional_id)  # taking over an unknown id would create it
            admin.fence_producer(transactional_id)
        else:
            assert partition is not None and producer is not None
            admin.abort_transaction(place(partition), producer)
    if as_json:
        document({"aborted": what})
    else:
        print(f"aborted {what}")


COMMANDS: dict[str, Callable[..., Any]] = {"list": list_, "describe": describe, "abort": abort}
