"""How consumers move through a partition: forward, and past nothing.

nonmonotonic-poll, poll-skip            between two operations of one process
int-nonmonotonic-poll, int-poll-skip    within one operation

Excused is what Jepsen excuses: a key that was rebalanced during an operation, a key that the process no longer asks for
after assign or subscribe, and polls of subscribers in histories that don't tell of rebalances. A crash, and a seek of
the keys it names, begin anew. After an operation that isn't ok, the next one is expected where the last ok one ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.checkers.analysis import Analysis, KeyLog, polled_by_key
from chaos.checkers.verdict import Anomaly
from chaos.history import Op

_SHOWN = 5


@dataclass(slots=True)
class _Process:
    """`ends`: key → (last offset polled, by which operation)."""

    ends: dict[str, tuple[int, Op]] = field(default_factory=dict)
    is_subscribed: bool = False


def poll_order(analysis: Analysis) -> Iterator[Anomaly]:
    tell_of_rebalances = {op.process for op in analysis.completions if op.rebalances}
    processes: dict[int, _Process] = {}
    for op in analysis.completions:
        process = processes.get(op.process)
        if process is None:
            process = processes[op.process] = _Process()
        if op.f in ("poll", "txn"):
            rebalanced = frozenset(op.rebalances or ())
            for key in rebalanced:
                process.ends.pop(key, None)
            is_comparable = not process.is_subscribed or op.process in tell_of_rebalances
            for key, pairs in polled_by_key(op).items():
                if key in rebalanced:
                    continue
                log = analysis.logs[key]
                offsets = [offset for offset, _ in pairs]
                yield from _within(log, op, offsets)
                end = process.ends.get(key)
                if end is not None and is_comparable:
                    yield from _step(log, "", end[1], op, end[0], offsets[0])
                if op.type == "ok":
                    process.ends[key] = (offsets[-1], op)
        elif op.f in ("assign", "subscribe") and op.type != "fail":
            process.is_subscribed = op.f == "subscribe"
            process.ends = {key: process.ends[key] for key in op.value or () if key in process.ends}
        elif op.f == "seek":
            for key in op.value or ():
                process.ends.pop(key, None)
        elif op.f == "crash":
            processes.pop(op.process)


def _within(log: KeyLog, op: Op, offsets: list[int]) -> Iterator[Anomaly]:
    earlier = offsets[0] - 1
    for offset in offsets:
        if offset != earlier + 1:
            yield from _step(log, "int-", op, op, earlier, offset)
        earlier = offset


def _step(log: KeyLog, prefix: str, first: Op, second: Op, earlier: int, later: int) -> Iterator[Anomaly]:
    """From polling offset `earlier` to polling `later`."""
    if later == earlier + 1:
        return
    skipped = log.between(earlier, later)
    if later > earlier and not skipped:
        return
    key = log.key
    if prefix:
        steps = f"{second} polled {log.at[earlier]!r} at offset {earlier} of {key} and then "
    else:
        steps = f"{first} polled {key} up to {log.at[earlier]!r} at offset {earlier}, then {second} of its process "
    arrived = f"{log.at[later]!r} at offset {later}"
    evidence = (second,) if prefix else (first, second)
    if later <= earlier:
        again = "the same again" if later == earlier else "backwards"
        yield Anomaly(f"{prefix}nonmonotonic-poll", f"{steps}went on with {arrived}: {again}.", evidence)
        return
    few = ", ".join(f"{log.at[offset]!r} at {offset}" for offset in skipped[:_SHOWN])
    more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
    yield Anomaly(f"{prefix}poll-skip", f"{steps}went on with {arrived}, and left out {few}{more}.", evidence)
