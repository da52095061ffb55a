"""The order in which a producer sends to a partition is the order of their offsets.

nonmonotonic-send        between two operations of one process
int-nonmonotonic-send    within one operation

As in Jepsen, after assign or subscribe a process answers only for the keys it named. A message whose place nobody knows
is passed over, where Jepsen loses the thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from chaos.checkers.analysis import Analysis, sends_of
from chaos.checkers.verdict import Anomaly
from chaos.history import Op


def send_order(analysis: Analysis) -> Iterator[Anomaly]:
    processes: dict[int, dict[str, tuple[Any, Op]]] = defaultdict(dict)  # process -> key -> its last message, and when
    for op in analysis.completions:
        if op.f in ("send", "txn"):
            within: dict[str, Any] = {}
            last = processes[op.process]
            for key, _, message in sends_of(op):
                if message not in analysis.logs[key].offset_of:
                    continue  # nobody knows where it stands; what comes next is held against what came before
                if key in within:
                    yield from _step(analysis, "int-", key, within[key], op, message, op)
                elif key in last and op.type != "fail":
                    yield from _step(analysis, "", key, *last[key], message, op)
                within[key] = message
            if op.type != "fail":
                for key, message in within.items():
                    last[key] = (message, op)
        elif op.f in ("assign", "subscribe") and op.type != "fail":
            last = processes[op.process]
            processes[op.process] = {key: last[key] for key in op.value or () if key in last}
        elif op.f == "crash":
            processes.pop(op.process, None)


def _step(
    analysis: Analysis, prefix: str, key: str, earlier: Any, first: Op, later: Any, second: Op
) -> Iterator[Anomaly]:
    log = analysis.logs[key]
    before, after = log.offset_of[earlier], log.offset_of[later]
    if after > before:
        return
    who = f"{second} sent {earlier!r}" if prefix else f"{first} sent {earlier!r}"
    then = "and then" if prefix else f"and {second} of the same process then sent"
    yield Anomaly(
        f"{prefix}nonmonotonic-send",
        f"{who} to {key} {then} {later!r}; but {earlier!r} stands at offset {before} and {later!r} at {after}.",
        (second,) if prefix else (first, second),
    )
