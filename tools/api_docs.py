"""Writes docs/api_keys.md from the list of handlers; with --check, exits 1 when the file isn't what they say."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from actors.api.dispatch import HANDLERS  # noqa: E402 (the rooms are found through the line above)
from actors.api.k18_api_versions import ADVERTISED_MIN  # noqa: E402
from protocol.api_keys import API_KEYS  # noqa: E402

PAGE = ROOT / "docs" / "api_keys.md"

INTRO = """# API keys

What a client may ask, in which versions, and what is left out of Kafka's meaning. Each key is one file in
`actors/api/`; ApiVersions answers with this table. The last column is that file's own "Left out".

This page is written by `tools/api_docs.py` from `actors/api/dispatch.py` and the handlers' docstrings; change those.
"""


def page() -> str:
    lines = [INTRO, "| Key | API | Advertised | Flexible from | File | Left out |", "|---|---|---|---|---|---|"]
    for key, module in HANDLERS.items():
        api = API_KEYS[key]
        versions = f"{ADVERTISED_MIN.get(key, api.min_version)}-{api.max_version}"
        file = f"[{module}.py](../actors/api/{module}.py)"
        lines.append(f"| {key} | {api.name} | {versions} | {api.flexible_from} | {file} | {_left_out(module)} |")
    return "\n".join(lines) + "\n"


def _left_out(module: str) -> str:
    source = (ROOT / "actors" / "api" / f"{module}.py").read_text(encoding="utf-8")
    words = (ast.get_docstring(ast.parse(source)) or "").split("Left out:")
    left_out = " ".join(words[1].split()) if len(words) > 1 else ""
    return "" if left_out in ("", "nothing.") else left_out


def main(arguments: list[str]) -> int:
    wanted = page()
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
