"""Makes the wheel: the rooms move under `odradek/`, so that nothing generic comes to lie in site-packages.

The source tree keeps its rooms as top-level packages (`from storage.log import Log`); an editable install too. In the
wheel the same file says `from odradek.storage.log import Log`. What lies where:

    odradek.py         → odradek/__init__.py, and odradek/__main__.py is made
    run_cluster.py     → odradek/run_cluster.py
    storage/…          → odradek/storage/…
    odradek_pytest.py  stays: its name is ours
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import Distribution
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

HOUSE = "odradek"
OURS = frozenset({HOUSE, "odradek_pytest"})
_MAIN = f'"""`python -m {HOUSE}`: the command."""\n\nimport sys\n\nfrom {HOUSE} import main\n\nsys.exit(main())\n'


class BuildPy(build_py):
    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        library = Path(self.build_lib)
        # what an earlier build left there would be packed too
        shutil.rmtree(library, ignore_errors=True)
        super().run()
        move_in(library, room_names(self.distribution))


class EggInfo(egg_info):
    """top_level.txt must not claim names that the wheel does not have."""

    def run(self) -> None:
        super().run()
        names = Path(self.egg_info) / "top_level.txt"
        if names.exists():
            names.write_text("".join(f"{name}\n" for name in sorted(OURS)))


def room_names(distribution: Distribution) -> list[str]:
    """Every top-level package and module that has to move, longest first."""
    packages = {name.partition(".")[0] for name in distribution.packages or ()}
    modules = set(distribution.py_modules or ())
    return sorted((packages | modules) - OURS, key=lambda name: (-len(name), name))


def move_in(library: Path, rooms: list[str]) -> None:
    """Rewrite the imports of what was built, then move it. Raises ValueError for an import that can't be rewritten."""
    for file in sorted(library.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        rewritten = rewrite(text, rooms, str(file.relative_to(library)))
        if rewritten != text:
            file.write_text(rewritten, encoding="utf-8")
    house = library / HOUSE
    house.mkdir(exist_ok=True)
    (library / f"{HOUSE}.py").rename(house / "__init__.py")
    (house / "__main__.py").write_text(_MAIN, encoding="utf-8")
    (house / "py.typed").touch()
    for room in rooms:
        for found in (library / room, library / f"{room}.py"):
            if found.exists():
                found.rename(house / found.name)


def rewrite(text: str, rooms: list[str], where: str) -> str:
    """The same source, with our rooms imported from the house.

    `import storage.log` also binds `storage`, so that one becomes two. Raises ValueError for `import a, b` with a room.
    """
    room = f"(?:{'|'.join(map(re.escape, rooms))})"
    unclear = re.search(rf"^[ \t]*import[ \t]+(?:{room}\b[^#\n]*,|[^#\n]*,[ \t]*{room}\b).*", text, re.M)
    if unclear:
        raise ValueError(f"{where}: `{unclear.group().strip()}` can't be moved: write one import a line")
    text = re.sub(rf"^([ \t]*from[ \t]+)({room})(?=[.\s])", rf"\1{HOUSE}.\2", text, flags=re.M)
    text = re.sub(rf"^([ \t]*import[ \t]+)({room}\b[\w.]*[ \t]+as[ \t])", rf"\1{HOUSE}.\2", text, flags=re.M)
    text = re.sub(
        rf"^([ \t]*)import[ \t]+(({room})\b[\w.]*)(?=[ \t]*(?:#|$))",
        rf"\1import {HOUSE}.\2; from {HOUSE} import \3",
        text,
        flags=re.M,
    )
    return re.sub(rf"(import_module\([ \t]*f?[\"'])({room})(?=\.)", rf"\1{HOUSE}.\2", text)
