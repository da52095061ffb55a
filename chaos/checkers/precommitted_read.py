"""precommitted-read: a transaction polled a message that it had sent itself, so before its own commit."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.checkers.analysis import Analysis, polls_of, sends_of
from chaos.checkers.verdict import Anomaly


def precommitted_reads(analysis: Analysis) -> Iterator[Anomaly]:
    for op in analysis.completions:
        if op.f != "txn":
            continue
        own = {(key, message) for key, _, message in sends_of(op)}
        if not own:
            continue
        for key, pairs in polls_of(op):
            for offset, message in pairs:
                if (key, message) in own:
                    yield Anomaly(
                        "precommitted-read",
                        f"{op} sent {message!r} to {key} and polled it itself, at offset {offset}, "
                        "before it was committed.",
                        (op,),
                    )
