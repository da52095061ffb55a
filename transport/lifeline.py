"""Knowing of a peer's death in microseconds: a socket that nothing is ever written to.

The kernel closes a dead process's sockets before anyone can reap it, so its peers read the end of their lifelines at
the same moment in which its clients lose their connections. A broker thereby knows of the death *before* those clients
ask it for metadata, and does not send them back to the dead one (librdkafka asks once and then waits long).

The end of a lifeline is proof, not suspicion: all threads of a process are gone before its files are closed, and a
living broker never closes its end. A stopped process (SIGSTOP) keeps its lifelines: that is what heartbeats are for.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

RETRY_S = 0.02


class Lifelines:
    """This node's listening end, and one line to each peer incarnation.

    `on_lost(node_id, incarnation)` is called once for each line that was up and ended.
    """

    def __init__(self, node_id: int, incarnation: int, directory: Path, on_lost: Callable[[int, int], None]) -> None:
        self._path = _path(directory, node_id, incarnation)
        self._node_id = node_id
        self._directory = directory
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._listener: socket.socket | None = None
        self._accepted: list[socket.socket] = []
        self._lines: dict[int, tuple[int, socket.socket | None]] = {}  # peer -> (incarnation, its line once it is up)

    def start(self) -> None:
        """Listen; call it before clients are let in, so that lifelines have the lower file descriptors."""
        for stale in self._directory.glob(f"life-{self._node_id}.*"):  # of lives that were killed
            stale.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        self._loop.add_reader(self._listener, self._accept)

    def watch(self, node_id: int, incarnation: int) -> None:
        """Hold a line to this incarnation of a peer; an older one is let go."""
        known = self._lines.get(node_id)
        if known is not None and known[0] >= incarnation:
            return
        self._drop(node_id)
        self._lines[node_id] = (incarnation, None)
        self._connect(node_id, incarnation)

    def close(self) -> None:
        """Let go of everything: the peers will call us dead."""
        for node_id in list(self._lines):
            self._drop(node_id)
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._path.unlink(missing_ok=True)
        for accepted in self._accepted:
            accepted.close()

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return
        accepted.setblocking(False)
        self._accepted.append(accepted)
        self._loop.add_reader(accepted, self._accepted_ended, accepted)

    def _accepted_ended(self, accepted: socket.socket) -> None:
        """The peer at the other end is gone; our own line to it tells who it was."""
        self._loop.remove_reader(accepted)
        accepted.close()
        self._accepted.remove(accepted)

    def _connect(self, node_id: int, incarnation: int) -> None:
        if self._lines.get(node_id) != (incarnation, None):
            return
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.setblocking(False)
        try:
            line.connect(str(_path(self._directory, node_id, incarnation)))
        except OSError:  # not listening yet, or never again: a death in between is the supervisor's to tell
            line.close()
            self._loop.call_later(RETRY_S, self._connect, node_id, incarnation)
            return
        self._lines[node_id] = (incarnation, line)
        self._loop.add_reader(line, self._ended, node_id, incarnation)

    def _ended(self, node_id: int, incarnation: int) -> None:
        if self._lines.get(node_id, (-1, None))[0] == incarnation:
            # the incarnation stays known, so that a late view of the cluster does not dial a dead one
            self._drop(node_id)
            self._lines[node_id] = (incarnation, None)
            self._on_lost(node_id, incarnation)

    def forget(self, node_id: int, incarnation: int) -> None:
        """The peer is known to be dead: stop dialling it."""
        if self._lines.get(node_id, (-1, None))[0] == incarnation:
            self._drop(node_id)

    def _drop(self, node_id: int) -> None:
        _, line = self._lines.pop(node_id, (-1, None))
        if line is not None:
            self._loop.remove_reader(line)
            line.close()


def _path(directory: Path, node_id: int, incarnation: int) -> Path:
    return directory / f"life-{node_id}.{incarnation}"
