"""Which cluster of this machine is meant."""

from __future__ import annotations

from pathlib import Path

from cli.cluster import running_temporary
from cli.output import Failed, Mistake


def data_dir_of(given: Path | None) -> Path:
    """The folder that was named, or that of the only running cluster with a temporary one."""
    if given is not None:
        if not (given / "cluster.json").exists():
            raise Mistake(f"{given} holds no cluster.json", "name the folder that `odradek up` was given")
        return given
    found = running_temporary()
    if not found:
        raise Failed("no cluster with a temporary folder runs here", "name its folder with --data-dir")
    if len(found) > 1:
        raise Mistake(f"several clusters run: {', '.join(map(str, found))}", "choose one with --data-dir")
    return found[0]
