"""Writes docs/client_configs.md from the clients' config rows; with --check, exits 1 when it isn't what they say."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from clients.configs import client_keys  # noqa: E402 (the rooms are found through the line above)
from clients.consumer_configs import CONSUMER_KEYS, CONSUMER_OBJECTS  # noqa: E402
from clients.producer_configs import PRODUCER_KEYS, PRODUCER_OBJECTS  # noqa: E402
from model.config_key import ConfigKey  # noqa: E402

PAGE = ROOT / "docs" / "client_configs.md"

INTRO = """# Configs of the Python clients

What `Producer`, `Consumer`, `Admin` and their asynchronous twins may be told, by Kafka's names or as keywords with
underscores: `Producer({"linger.ms": 20})` and `Producer(linger_ms=20)` are the same. Other names are refused.

This page is written by `tools/client_config_docs.py` from the rows in `clients/*configs.py`; change those.
"""


def page() -> str:
    common = client_keys()
    lines = [INTRO, "## All clients", "", *_table(common.values())]
    for title, keys, objects in (
        ("Producer", PRODUCER_KEYS, PRODUCER_OBJECTS),
        ("Consumer", CONSUMER_KEYS, CONSUMER_OBJECTS),
    ):
        own = [key for name, key in keys.items() if name not in common]
        lines += ["", f"## {title}", "", *_table(own)]
        lines += ["", f"Python objects: {', '.join(f'`{name}`' for name in sorted(objects))}."]
    return "\n".join(lines) + "\n"


def _table(keys: Iterable[ConfigKey]) -> list[str]:
    rows = []
    for key in keys:
        valid = key.validator.replace("|", ", ").rstrip(", ")
        rows.append(f"| `{key.name}` | {key.type} | {_default(key)} | {valid} | {key.doc} |")
    return ["| Name | Type | Default | Valid | |", "|---|---|---|---|---|", *rows]


def _default(key: ConfigKey) -> str:
    return f"`{key.default}`" if key.default else ""


def main(arguments: list[str]) -> int:
    wanted = page()
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
