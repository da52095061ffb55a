"""`from odradek.streams import …` works in a checkout as it does in an installed wheel, and is the same package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_come_through_the_front_door() -> None:
    code = "from odradek.streams import Streams, Topology as t; import streams; print(t is streams.Topology)"
    assert python(code) == "True"


def test_modules_below_are_the_same_modules() -> None:
    code = """
import odradek.streams.serdes as a, streams.serdes as b, odradek, streams
from odradek.streams import serdes as c
print(a is b is c, odradek.streams is streams, b.__spec__.name, b.__name__)
"""
    assert python(code) == "True True streams.serdes streams.serdes"


def test_whoever_wants_a_cluster_does_not_pay_for_it() -> None:
    assert python("import odradek, sys; print('streams' in sys.modules)") == "False"


def test_what_is_not_there_is_an_import_error() -> None:
    assert python(
        "try:\n import odradek.streams.nothing\nexcept ModuleNotFoundError as e: print(e)"
    ) == "No module named 'streams.nothing'"
