"""Writes docs/configs.md from the config rows in model/; with --check, exits 1 when the file isn't what they say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model.config_key import ConfigKey  # noqa: E402 (the rooms are found through the line above)
from model.configs import BROKER_CONFIGS, TOPIC_CONFIGS  # noqa: E402
from model.group_configs import GROUP_CONFIGS  # noqa: E402

PAGE = ROOT / "docs" / "configs.md"

INTRO = """# Configs

Every broker and topic config that Kafka 4.3 documents: Odradek knows, checks and lists them all. *Acted on* says which
ones it obeys; the others are there so that Kafka's tools and config files work unchanged. Set a broker's with
`--set name=value` or `--config FILE`, a topic's with any admin client. *Update* says whether a broker's can be changed
while it runs: on each broker, for the whole cluster as well, or not at all (read-only).

Defaults are Kafka's, except: `group.initial.rebalance.delay.ms` is 0 (Kafka: 3000), so that the first member of a group
doesn't wait; `log.dir` has none, as `--data-dir` decides. `leader.imbalance.per.broker.percentage` is from Kafka 3.

This page is written by `tools/config_docs.py` from the rows in `model/`; change those.
"""


def page() -> str:
    topics, brokers, groups = (_listed(keys) for keys in (TOPIC_CONFIGS, BROKER_CONFIGS, GROUP_CONFIGS))
    parts = [INTRO, f"## Topics ({_count(topics)})\n", _table(topics, "Broker's default", _broker_default)]
    parts += [f"## Brokers ({_count(brokers)})\n", _table(brokers, "Update", lambda key: key.update_mode)]
    parts += [f"## Groups ({_count(groups)})\n", _table(groups, "Broker's default", _broker_default)]
    return "\n".join(parts)


def _listed(keys: dict[str, ConfigKey]) -> list[ConfigKey]:
    return [key for key in keys.values() if not key.is_internal]


def _count(keys: list[ConfigKey]) -> str:
    return f"{len(keys)}, of which {sum(key.acted_on for key in keys)} acted on"


def _broker_default(key: ConfigKey) -> str:
    return ", ".join(f"`{name}`" for name in key.synonyms)


def _table(keys: Iterable[ConfigKey], heading: str, cell: Callable[[ConfigKey], str]) -> str:
    lines = [f"| Name | Type | Default | Valid | {heading} | Acted on | |", "|---|---|---|---|---|---|---|"]
    for key in keys:
        default = "" if key.default is None else "empty" if key.default == "" else f"`{key.default}`"
        valid = key.validator.replace("|", ", ").replace(" any case", " (any case)")
        valid = "`*` or `partition:broker`, …" if valid == "replicas" else valid
        acted = "yes" if key.acted_on else "no"
        lines.append(f"| `{key.name}` | {key.type} | {default} | {valid} | {cell(key)} | {acted} | {key.doc} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    if "--check" in sys.argv[1:]:
        is_current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        if not is_current:
            print("docs/configs.md is not what the rows say; run python tools/config_docs.py", file=sys.stderr)
        return 0 if is_current else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
