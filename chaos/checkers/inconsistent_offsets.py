"""inconsistent-offsets: clients were told of different messages at one offset of one partition."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.analysis import Analysis
from chaos.checkers.verdict import Anomaly


def inconsistent_offsets(analysis: Analysis) -> Iterator[Anomaly]:
    tellers = analysis.tellers_of({(log.key, offset) for log in analysis.logs.values() for offset in log.conflicts})
    for log in analysis.logs.values():
        for offset, messages in log.conflicts.items():
            ops = [(message, tellers[log.key, offset].get(message)) for message in messages]
            did = ["sent" if log.writers.get(message) is op else "polled" for message, op in ops]
            told = ", but ".join(f"{op} {verb} {message!r}" for verb, (message, op) in zip(did, ops, strict=True))
            yield Anomaly(
                "inconsistent-offsets",
                f"Offset {offset} of {log.key} holds different messages: {told} there.",
                tuple(op for _, op in ops if op is not None),
            )
