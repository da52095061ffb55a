"""What a check found: each anomaly with an explanation, and a table for people in a hurry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chaos.history import Op

KINDS: dict[str, str] = {
    "lost-write": "acknowledged, and skipped by everybody though later records were read",
    "unseen": "acknowledged, and read by nobody",
    "duplicate": "one message at several offsets",
    "inconsistent-offsets": "several messages at one offset",
    "G1a": "a read of an aborted message",
    "precommitted-read": "a transaction that read its own message before its commit",
    "nonmonotonic-poll": "a poll that went back behind the poll before it",
    "poll-skip": "a poll that left out messages after the poll before it",
    "int-nonmonotonic-poll": "one operation polled backwards",
    "int-poll-skip": "one operation left out messages between those it polled",
    "nonmonotonic-send": "a producer's later message stands before its earlier one",
    "int-nonmonotonic-send": "one operation's later message stands before its earlier one",
    "double-consume": "one message consumed by two committed transactions of a group",
    "G0": "transactions whose writes stand in a circle",
    "G1c": "transactions that read each other's writes in a circle",
    "G1c-ww": "transactions in a circle of reads and writes",
}
NORMAL_IN_KAFKA = frozenset({"G0", "G1c-ww"})
"""Kafka's transactions don't isolate writes, so their records may interleave: no anomaly unless `strict`."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """`explanation` is a sentence or two; `evidence` the operations it speaks of."""

    kind: str
    explanation: str
    evidence: tuple[Op, ...] = ()


@dataclass(slots=True)
class Verdict:
    """`anomalies` are wrong; `normal` were found too, and are allowed (by Kafka's nature or by the caller)."""

    anomalies: list[Anomaly] = field(default_factory=list)
    normal: list[Anomaly] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        return not self.anomalies

    @property
    def counts(self) -> dict[str, int]:
        """Kind → how often, in the order of `KINDS`."""
        found = Counter(anomaly.kind for anomaly in self.anomalies)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def of(self, kind: str) -> list[Anomaly]:
        return [anomaly for anomaly in self.anomalies if anomaly.kind == kind]

    def table(self, examples: int = 3) -> str:
        """Text: how many of which kind, the first `examples` of each explained, and what was looked at."""
        lines = []
        for kind, count in self.counts.items():
            lines.append(f"{kind:22} {count:>7}  {KINDS[kind]}")
            lines += [f"{'':32}{anomaly.explanation}" for anomaly in self.of(kind)[:examples]]
            if count > examples:
                lines.append(f"{'':32}… and {count - examples} more")
        for kind, count in Counter(anomaly.kind for anomaly in self.normal).items():
            lines.append(f"{kind:22} {count:>7}  {KINDS[kind]} (allowed)")
        stats = self.stats
        looked_at = (
            f"{stats.get('operations', 0):,} operations of {stats.get('processes', 0)} processes on "
            f"{stats.get('keys', 0)} partitions, {stats.get('acked', 0):,} messages acknowledged, "
            f"{stats.get('polled', 0):,} polled, checked in {stats.get('seconds', 0.0):.1f} s"
        )
        lines.append(looked_at)
        if strangers := stats.get("strangers", 0):
            lines.append(f"note: {strangers:,} of the messages polled were sent by nobody in this history")
        lines.append("valid: no anomalies" if self.valid else f"NOT VALID: {len(self.anomalies)} anomalies")
        return "\n".join(lines)
