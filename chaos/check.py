"""`python -m chaos.check HISTORY.jsonl`: what is wrong with a history.

    python -m chaos.check history.jsonl
    python -m chaos.check history.jsonl --allow unseen --examples 10

Ends with 0 when nothing is, 1 when something is, 2 when the file is no history.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chaos.checkers import KINDS, check
from chaos.history import History, HistoryInvalid


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="check", description="Judge a history of Kafka clients.")
    parser.add_argument("history", type=Path, help="JSON lines, see docs/histories.md")
    parser.add_argument("--allow", action="append", default=[], choices=list(KINDS), metavar="KIND",
                        help=f"not an anomaly here; one of {', '.join(KINDS)}")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="count G0 and G1c-ww too, which are normal in Kafka")
    parser.add_argument("--examples", type=int, default=3, help="explain so many of each kind (default 3)")
    options = parser.parse_args(arguments)
    try:
        verdict = check(History.read(options.history), allow=set(options.allow), strict=options.strict)
    except (OSError, HistoryInvalid) as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    print(verdict.table(options.examples))
    return 0 if verdict.valid else 1


if __name__ == "__main__":
    sys.exit(main())
