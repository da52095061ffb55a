"""`python -m chaos.check HISTORY.jsonl`: what is wrong with a history.

    python -m chaos.check history.jsonl
    python -m chaos.check history.jsonl --allow unseen --examples 10

Ends with 0 when nothing is, 1 when something is, 2 when the file is no history.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.checkers import KINDS, check
from chaos.history import History, HistoryInvalid

EXAMPLES = 3


@dataclass(slots=True)
class Judgement:
    """A verdict as a run and the command line keep it: the checker's, in plain fields."""

    is_valid: bool
    anomalies: dict[str, int]
    text: str
    found: list[dict[str, Any]] = field(default_factory=list)  # kind, explanation, the indices of the operations
    stats: dict[str, Any] = field(default_factory=dict)  # what was looked at: operations, acked, polled, strangers, …

    def plain(self) -> dict[str, Any]:
        return {"valid": self.is_valid, "anomalies": self.anomalies, "found": self.found, "text": self.text,
                "stats": self.stats}  # fmt: skip


def judge(
    history: Path,
    *,
    allow: Collection[str] = (),
    strict: bool = False,
    examples: int = EXAMPLES,
    may_be_empty: bool = False,
) -> Judgement:
    """`allow` are kinds of anomaly that are none here. Raises OSError, and HistoryInvalid for what is no history."""
    ops = History.read(history)
    if not len(ops) and not may_be_empty:
        raise HistoryInvalid(f"{history} holds no operation, which proves nothing")
    verdict = check(ops, allow=set(allow), strict=strict)
    found = [
        {"kind": one.kind, "explanation": one.explanation, "ops": [op.index for op in one.evidence]}
        for one in verdict.anomalies
    ]
    return Judgement(verdict.valid, verdict.counts, verdict.table(examples), found, verdict.stats)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="check", description="Judge a history of Kafka clients.")
    parser.add_argument("history", type=Path, help="JSON lines, see docs/histories.md")
    parser.add_argument("--allow", action="append", default=[], choices=list(KINDS), metavar="KIND",
                        help=f"not an anomaly here; one of {', '.join(KINDS)}")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="count G0 and G1c-ww too, which are normal in Kafka")
    parser.add_argument("--examples", type=int, default=EXAMPLES, metavar="N",
                        help=f"explain so many of each kind (default {EXAMPLES})")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        verdict = judge(options.history, allow=options.allow, strict=options.strict, examples=options.examples)
    except (OSError, HistoryInvalid) as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    print(verdict.text)
    return 0 if verdict.is_valid else 1


if __name__ == "__main__":
    sys.exit(main())
