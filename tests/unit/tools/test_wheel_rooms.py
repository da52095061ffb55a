"""How imports are rewritten for the wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("setuptools")
ROOMS = ["run_cluster", "storage", "model"]


@pytest.fixture(scope="module")
def wheel_rooms() -> ModuleType:
    path = Path(__file__).parents[3] / "tools" / "wheel_rooms.py"
    spec = importlib.util.spec_from_file_location("wheel_rooms", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from storage.log import Log", "from odradek.storage.log import Log"),
        ("    from model import ids", "    from odradek.model import ids"),
        ("from storages import x", "from storages import x"),
        ("from .storage import x", "from .storage import x"),
        ("import storage.log as log", "import odradek.storage.log as log"),
        ("import model.errors  # why", "import odradek.model.errors; from odradek import model  # why"),
        ("import models", "import models"),
        ("import json, re", "import json, re"),
        ('import_module("storage.log")', 'import_module("odradek.storage.log")'),
        ('import_module(f"model.{name}")', 'import_module(f"odradek.model.{name}")'),
        ('name = "storage.log"', 'name = "storage.log"'),
    ],
)
def test_imports_of_rooms_are_rewritten_and_nothing_else(wheel_rooms: ModuleType, before: str, after: str) -> None:
    text = f"import os\n{before}\nx = 1\n"
    assert wheel_rooms.rewrite(text, ROOMS, "file.py") == f"import os\n{after}\nx = 1\n"


@pytest.mark.parametrize("line", ["import json, storage", "import storage.log, json"])
def test_what_can_not_be_rewritten_is_refused(wheel_rooms: ModuleType, line: str) -> None:
    with pytest.raises(ValueError, match=r"file.py: .* can't be moved"):
        wheel_rooms.rewrite(f"{line}\n", ROOMS, "file.py")
