"""lost-write: a record must have been committed, later ones of its partition were polled, and it never was."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.analysis import Analysis
from chaos.checkers.verdict import Anomaly


def lost_writes(analysis: Analysis) -> Iterator[Anomaly]:
    for log in analysis.logs.values():
        for message, told in log.committed.items():
            if message in log.polled:
                continue
            # without an offset in the answer, those may know it who polled the message in vain
            offset = log.offset_of.get(message) if told is None else told
            if offset is None or offset > log.highest_polled:
                continue
            writer = log.writers[message]
            assert log.highest_poll is not None
            there = log.at[offset] if log.at[offset] != message else None
            if there is None:
                there = next((other for other in log.conflicts.get(offset, ()) if other != message), None)
            instead = f"; at offset {offset} there is now {there!r}" if there is not None else ""
            where = f"and was told offset {offset}" if told is not None else f"where it stood at offset {offset}"
            in_vain = message in log.polled_in_vain
            nobody = "Only operations that failed polled it" if in_vain else "Nobody ever polled it"
            yield Anomaly(
                "lost-write",
                f"{writer} sent {message!r} to {log.key} {where}. {nobody}, though "
                f"{log.highest_poll} polled {log.key} up to offset {log.highest_polled}{instead}.",
                (writer, log.highest_poll),
            )
