"""unseen: a record was acknowledged, and no client had polled it when the history ended."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.analysis import Analysis
from chaos.checkers.verdict import Anomaly


def unseen(analysis: Analysis) -> Iterator[Anomaly]:
    for log in analysis.logs.values():
        for message, offset in log.committed.items():
            writer = log.writers[message]
            if message in log.polled:
                continue
            where = "without an offset" if offset is None else f"at offset {offset}"
            nobody = "nobody has" if message not in log.polled_in_vain else "only operations that failed have"
            last = log.highest_poll
            polls = f"{last} polled furthest, up to offset {log.highest_polled}" if last else "nobody polled it at all"
            yield Anomaly(
                "unseen",
                f"{writer} sent {message!r} to {log.key} and it was acknowledged {where}; {nobody} polled it to "
                f"the end. Of {log.key}, {polls}.",
                (writer, last) if last else (writer,),
            )
