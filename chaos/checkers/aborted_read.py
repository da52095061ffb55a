"""G1a: a message was polled although its write is known to have failed or to have been aborted."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.analysis import Analysis
from chaos.checkers.verdict import Anomaly


def aborted_reads(analysis: Analysis) -> Iterator[Anomaly]:
    found = [
        (log.key, message)
        for log in analysis.logs.values()
        for message, writer in log.writers.items()
        if writer.type == "fail" and log.was_handed_out(message)
    ]
    readers = analysis.readers_of(found)
    for key, message in found:
        log = analysis.logs[key]
        writer, reader = log.writers[message], readers[key, message][0]
        yield Anomaly(
            "G1a",
            f"{writer} tried to send {message!r} to {key} and did not commit it, "
            f"yet {reader} polled it at offset {log.offset_of[message]}.",
            (writer, reader),
        )
