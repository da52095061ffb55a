"""Makes broker processes and learns of their end.

A fresh interpreter through posix_spawn, tied to its parent by one socket pair, the link:
- the parent sends the BrokerSpec over it, as soon as it has one: until then the child has time to import;
- the child sends its last words over it, if it fails with something to say;
- the end of either process closes the link, and the kernel tells the other one at once.
multiprocessing's spawn does the same with 5 MB and 10 ms more for each child, and a helper process of 12 MB besides.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import dataclass, field

# read by the child, see `actors/broker_process.py`; -S: site-packages come with the parent's sys.path
_BOOT = "import sys; sys.path[:] = {path!r}; from {package}.broker_process import main; main({link}, {broker_class!r})"


@dataclass(slots=True)
class Child:
    """A broker process, reaped only by `reap`."""

    broker_id: int
    pid: int
    link: socket.socket
    last_words: bytearray = field(default_factory=bytearray)

    def send_spec(self, encoded: bytes) -> None:
        """The one message parent → child. A child that is gone already shows by the end of its link."""
        try:
            self.link.setblocking(True)
            self.link.sendall(encoded + b"\n")
        except OSError:
            pass
        finally:
            self.link.setblocking(False)

    def has_ended(self) -> bool:
        """Call when the link is readable: takes in last words, True at its end."""
        try:
            words = self.link.recv(65_536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.last_words += words
        return not words

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> str:
        """Make sure it is dead, and say how it died. Call once, after `has_ended` or `kill`."""
        self.link.close()
        # the link ends microseconds before the process does; one that closed it and lives on is no broker any more
        self.kill()
        _, status = os.waitpid(self.pid, 0)
        words = self.last_words.decode(errors="replace").strip()
        if words:
            return words
        if os.WIFSIGNALED(status):
            return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"exit code {os.WEXITSTATUS(status)}"


def spawn(broker_id: int, name: str, broker_class: str) -> Child:
    """Start a process that waits for its spec. From the main thread only: a child dies with the thread that made it.

    `name` is shown by ps and lets a later supervisor recognise what an earlier one left behind.
    """
    link, childs_end = socket.socketpair()
    try:
        childs_end.set_inheritable(True)
        boot = _BOOT.format(path=sys.path, package=__package__, link=childs_end.fileno(), broker_class=broker_class)
        arguments = [sys.executable, "-S", "-c", boot, f"odradek-broker-{broker_id}", name]
        pid = os.posix_spawn(
            sys.executable,
            arguments,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            # Ctrl-C reaches the whole process group; the child waits for the supervisor's word instead
            setsigmask=[signal.SIGINT],
        )
    except BaseException:
        link.close()
        raise
    finally:
        childs_end.close()
    link.setblocking(False)
    return Child(broker_id, pid, link)


def is_stopped(pid: int) -> bool:
    """Is the process stopped by a signal or a debugger? False when that can't be known."""
    return _stat(pid)[:1] in ([b"T"], [b"t"])


def is_leftover(pid: int, name: str) -> bool:
    """Is `pid` a live process that `spawn` gave this name, in an earlier supervisor?"""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            is_named = os.fsencode(name) in file.read().split(b"\0")
    except OSError:
        return False
    # the pid may have been given anew, to a child of our own
    return is_named and _stat(pid)[1:2] != [str(os.getpid()).encode()]


def _stat(pid: int) -> list[bytes]:
    """From the state on: state, parent's pid, …; empty when there is no such process (or no /proc)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # the command's name in parentheses may contain anything, so count from the last one
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
