"""The directory of a cluster, held by one supervisor at a time, and the short-lived one for its sockets.

    DATA_DIR/cluster.json   what runs where                 DATA_DIR/broker-N/       that broker's partitions
    DATA_DIR/.lock          held while a supervisor lives    DATA_DIR/logs/broker-N.log
    DATA_DIR/events/        what happened, see event_log.py
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

from actors.broker_spawn import is_leftover
from actors.cluster_file import CLUSTER_FILE, ClusterFile
from model.errors import ConfigError

LOCK_FILE = ".lock"
# may be there before cluster.json is
_OURS = frozenset({LOCK_FILE, CLUSTER_FILE, f".{CLUSTER_FILE}.tmp", "lost+found"})
_RUN_PREFIX = "odradek-run-"
_DATA_PREFIX = "odradek-data-"
# a unix socket's path has 107 bytes at most, and the bus appends up to 40
_LONGEST_RUN_DIRECTORY = 60
LEFTOVERS_S = 3.0


class ClusterDirectory:
    """Holds the lock from `open` to `close`; `before` is the cluster.json the last supervisor left."""

    def __init__(self, path: Path, lock: int, *, is_temporary: bool, before: ClusterFile | None) -> None:
        self.path = path
        self.is_temporary = is_temporary
        self.before = before
        self.cluster_id = before.cluster_id if before is not None else _new_cluster_id()
        self._lock = lock

    @classmethod
    def open(cls, path: Path | None) -> ClusterDirectory:
        """Take `path`, or a fresh temporary directory for None.

        Brokers that a killed supervisor left behind are ended first. Raises ConfigError when the directory can't be
        written, belongs to something else, or is in use.
        """
        is_temporary = path is None
        path = (path or _fresh(_DATA_PREFIX)).absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
            is_foreign = not (path / CLUSTER_FILE).exists() and bool(set(os.listdir(path)) - _OURS)
            if is_foreign:
                raise ConfigError(
                    f"{path} holds other files and no {CLUSTER_FILE}: choose an empty or new directory with --data-dir"
                )
            lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigError(
                f"can't write to {path} ({error.strerror}): choose another directory with --data-dir"
            ) from error
        try:
            _take(lock, path)
            before = ClusterFile.read(path)
            if before is not None:
                end_leftovers(before, str(path.resolve()))
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock, is_temporary=is_temporary, before=before)

    def broker_directory(self, broker_id: int) -> Path:
        return self.path / f"broker-{broker_id}"

    def close(self) -> None:
        """Free the lock; a temporary directory goes with everything in it."""
        if self.is_temporary:
            _remove(self.path)
        os.close(self._lock)


class RunDirectory:
    """A short path for ipc sockets, locked while its supervisor lives, so that the next one can tell what is stale."""

    def __init__(self) -> None:
        _remove_stale()
        self.path = _fresh(_RUN_PREFIX)
        self._lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        _remove(self.path)
        os.close(self._lock)


def end_leftovers(before: ClusterFile, name: str) -> None:
    """Kill what still runs of an earlier supervisor's brokers and wait for its end.

    Raises ConfigError if it won't end, e.g. in uninterruptible I/O.
    """
    pids = [entry.pid for entry in before.brokers if entry.pid is not None and is_leftover(entry.pid, name)]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + LEFTOVERS_S
    while any(is_leftover(pid, name) for pid in pids):
        if time.monotonic() > deadline:
            raise ConfigError(f"brokers of an earlier run won't end (pids {pids}): end them by hand and start again")
        time.sleep(0.005)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            user = ClusterFile.read(path)
        except ConfigError:
            user = None
        who = f" (supervisor pid {user.supervisor_pid})" if user is not None and user.supervisor_pid else ""
        raise ConfigError(f"another cluster uses {path}{who}: stop it or choose another --data-dir") from None


def _temporary_root() -> Path:
    # not tempfile: it costs 10 ms of imports
    root = Path(os.environ.get("TMPDIR") or "/tmp")
    return root if root.is_dir() else Path("/tmp")


def _fresh(prefix: str) -> Path:
    root = _temporary_root()
    if prefix == _RUN_PREFIX and len(os.fsencode(root)) + len(prefix) + 13 > _LONGEST_RUN_DIRECTORY:
        root = Path("/tmp")
    path = root / f"{prefix}{os.urandom(5).hex()}"
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(f"can't write to {root} ({error.strerror}): set TMPDIR to a directory you own") from error
    return path


def _remove_stale() -> None:
    """Remove run directories whose supervisor is dead: nobody holds their lock."""
    for root in {_temporary_root(), Path("/tmp")}:
        for path in root.glob(f"{_RUN_PREFIX}*"):
            try:
                if path.stat().st_uid != os.getuid():
                    continue
                lock = os.open(path / LOCK_FILE, os.O_RDWR)
            except OSError:
                # just being made or removed by somebody else
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            except BlockingIOError:
                pass
            finally:
                os.close(lock)


def _remove(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _new_cluster_id() -> str:
    """22 characters, url-safe base64 of 16 random bytes, as Kafka's; no leading dash, which shells misread."""
    import binascii

    while True:
        text = binascii.b2a_base64(os.urandom(16), newline=False).decode()
        text = text.rstrip("=").replace("+", "-").replace("/", "_")
        if not text.startswith("-"):
            return text
