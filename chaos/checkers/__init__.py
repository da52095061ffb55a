"""Judges a history of real clients by Jepsen's anomaly classes for Kafka; one file for each class or family.

    verdict = check(History.read("history.jsonl"))
    print(verdict.table())

It knows nothing of the cluster that the clients talked to, nor of what was broken meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet

from chaos.checkers.aborted_read import aborted_reads
from chaos.checkers.analysis import Analysis
from chaos.checkers.cycles import cycles
from chaos.checkers.double_consume import double_consumes
from chaos.checkers.duplicate import duplicates
from chaos.checkers.inconsistent_offsets import inconsistent_offsets
from chaos.checkers.lost_write import lost_writes
from chaos.checkers.poll_order import poll_order
from chaos.checkers.precommitted_read import precommitted_reads
from chaos.checkers.send_order import send_order
from chaos.checkers.unseen import unseen
from chaos.checkers.verdict import KINDS, NORMAL_IN_KAFKA, Anomaly, Verdict
from chaos.history import Op, no_garbage_collection

CHECKERS: tuple[Callable[[Analysis], Iterator[Anomaly]], ...] = (
    lost_writes, unseen, duplicates, inconsistent_offsets, aborted_reads, precommitted_reads, poll_order, send_order,
    double_consumes, cycles,
)  # fmt: skip


def check(history: Iterable[Op], *, allow: AbstractSet[str] = frozenset(), strict: bool = False) -> Verdict:
    """`allow` names kinds that are no anomalies here; `strict` allows not even those that are normal in Kafka.

    Raises HistoryInvalid for what is no history: messages that are not unique, values of another shape.
    """
    unknown = set(allow) - set(KINDS)
    if unknown:
        raise ValueError(f"no such anomaly: {', '.join(sorted(unknown))}")
    allowed = frozenset(allow) | (frozenset() if strict else NORMAL_IN_KAFKA)
    began = time.perf_counter()
    with no_garbage_collection():
        analysis = Analysis(history)
        verdict = Verdict()
        for checker in CHECKERS:
            for anomaly in checker(analysis):
                (verdict.normal if anomaly.kind in allowed else verdict.anomalies).append(anomaly)
        places = {kind: place for place, kind in enumerate(KINDS)}
        verdict.anomalies.sort(key=lambda anomaly: places[anomaly.kind])
    logs = analysis.logs.values()
    verdict.stats = {
        "operations": len(analysis.completions),
        "processes": len({op.process for op in analysis.completions}),
        "keys": len(analysis.logs),
        "acked": sum(len(log.committed) for log in logs),
        "polled": sum(len(log.polled) for log in logs),
        "strangers": sum(not log.polled <= log.writers.keys() and len(log.polled - log.writers.keys()) for log in logs),
        "unknown": sum(op.type == "info" and op.f in ("send", "txn") for op in analysis.completions),
        "aborted": sum(op.type == "fail" and op.f in ("send", "txn") for op in analysis.completions),
        "seconds": time.perf_counter() - began,
    }
    return verdict


__all__ = ["KINDS", "NORMAL_IN_KAFKA", "Anomaly", "Verdict", "check"]
