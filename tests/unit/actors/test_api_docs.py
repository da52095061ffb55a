"""docs/api_keys.md says what the handlers say, and every handler says what it leaves out."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

from actors.api.dispatch import HANDLERS

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_up_to_date() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "api_docs.py"))
    assert tool["main"](["--check"]) == 0, "run `make docs`"


def test_every_handler_says_what_is_left_out() -> None:
    silent = []
    for module in HANDLERS.values():
        source = (ROOT / "actors" / "api" / f"{module}.py").read_text(encoding="utf-8")
        if "Left out:" not in (ast.get_docstring(ast.parse(source)) or ""):
            silent.append(module)
    assert not silent
