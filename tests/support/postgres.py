"""A PostgreSQL server for one test: Debian's binaries, a folder of its own, a socket and no network."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def _binaries() -> Path | None:
    on_path = shutil.which("pg_ctl")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = [path for path in [*folders, *([Path(on_path).parent] if on_path else [])] if (path / "initdb").exists()]
    return found[0] if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """Its postgresql:// URL. Skips the test, with the reason, where there can be none."""
    pytest.importorskip("psycopg", reason="no psycopg (pip install 'psycopg[binary]')")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL (apt-get install postgresql)")
    # it refuses to run as root; Debian's package brings a user of its own
    user = "postgres" if os.geteuid() == 0 else None
    with TemporaryDirectory(prefix="pg-") as folder:  # short: the socket's path has 107 bytes
        if user is not None:
            try:
                shutil.chown(folder, user)
            except LookupError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")

        def run(program: str, *arguments: str) -> None:
            command = [str(binaries / program), *arguments]
            subprocess.run(command, user=user, check=True, cwd=folder, timeout=60, stdout=subprocess.DEVNULL)

        run("initdb", "-D", f"{folder}/data", "-U", "odradek", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses= -c unix_socket_directories={folder}"
        run("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://odradek@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")
