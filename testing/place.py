"""Where our code is, so that a child process finds the same: a source tree, or the wheel with all rooms in one package.

In the source tree rooms are top-level packages (`actors`), in the wheel they are `odradek.actors`; both are found from
the folder that `root` names, whatever lies in the current directory.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = __name__.rpartition("testing.place")[0]  # "" or "odradek."
ROOT = Path(__file__).resolve().parents[2 if _PACKAGE else 1]


def room(name: str) -> str:
    """A room's importable name: `actors.launch` or `odradek.actors.launch`."""
    return _PACKAGE + name


def search_path() -> list[str]:
    """For a child's sys.path; nothing in the current directory comes before our own code."""
    own = str(ROOT)
    rest = [entry for entry in sys.path if entry and entry != own]
    # an installed wheel lies in a folder that the interpreter has on its path anyway
    return [*rest, own] if _PACKAGE and own in sys.path else [own, *rest]


def make_importable() -> None:
    """Put our folder on the path: an editable install finds the rooms by a hook that broker processes don't have."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
