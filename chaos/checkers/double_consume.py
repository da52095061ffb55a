"""double-consume: two committed transactions of one group consumed the same message.

A transaction that polls as a subscriber commits its group's offsets with its sends, so this must never happen. One of
unknown outcome counts when somebody polled what it sent: just those, whose commit got no answer, are done again by a
group that forgot them. Jepsen counts these and leaves the judgement to the reader. A history that has several such
groups allows `double-consume`.
"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.analysis import Analysis, Place, polls_of, sends_of
from chaos.checkers.verdict import Anomaly
from chaos.history import Op


def double_consumes(analysis: Analysis) -> Iterator[Anomaly]:
    subscribed: set[int] = set()
    consumed: dict[Place, Op] = {}
    for op in analysis.completions:
        if op.f == "subscribe":
            subscribed.add(op.process)
        elif op.f in ("assign", "crash"):
            subscribed.discard(op.process)
        elif op.f == "txn" and op.process in subscribed and analysis.is_committed(op) and any(sends_of(op)):
            for key, pairs in polls_of(op):
                for offset, message in pairs:
                    other = consumed.setdefault((key, message), op)
                    if other is not op:
                        yield Anomaly(
                            "double-consume",
                            f"{message!r}, at offset {offset} of {key}, was consumed by {other} and again by {op}; "
                            "both are committed.",
                            (other, op),
                        )
