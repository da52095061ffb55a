"""duplicate: a message was sent once and stands at more than one offset."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.analysis import Analysis
from chaos.checkers.verdict import Anomaly


def duplicates(analysis: Analysis) -> Iterator[Anomaly]:
    wanted = {(log.key, offset) for log in analysis.logs.values() for row in log.doubles.values() for offset in row}
    tellers = analysis.tellers_of(wanted)
    for log in analysis.logs.values():
        for message, offsets in log.doubles.items():
            ops = [(offset, tellers[log.key, offset].get(message)) for offset in sorted(offsets)]
            told = "; ".join(f"offset {offset}, says {op}" for offset, op in ops)
            writer = log.writers.get(message)
            sent = f"sent once, by {writer}," if writer else "of an unknown sender"
            yield Anomaly(
                "duplicate",
                f"{message!r} of {log.key}, {sent} stands at {len(offsets)} offsets: {told}.",
                tuple(op for op in (writer, *(op for _, op in ops)) if op is not None),
            )
