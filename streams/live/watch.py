"""Looks after the other instances on this machine, and buries those that were killed.

Whoever notices first fences the dead one's producer, so that its open transaction holds nobody up, and takes it out of
the group, which deals out its tasks at once. On other machines the group's session timeout does it, and the
transaction's.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from clients.admin import Admin
from model.errors import OdradekError
from streams.live.members import Dealt, Said, is_dead, process_start

log = logging.getLogger(__name__)

EVERY_S = 0.1


class ClientId(NamedTuple):
    """What an instance calls itself to the brokers: enough to see, after a restart, that it is dead."""

    instance: str
    pid: int
    started: str
    host: str

    @classmethod
    def of(cls, said: Said) -> ClientId:
        return cls(said.instance, said.pid, said.started, short(said.host))

    @classmethod
    def read(cls, text: str) -> ClientId | None:
        parts = text.rsplit(".", 3)
        if len(parts) != 4 or not parts[1].isdigit():
            return None
        return cls(parts[0], int(parts[1]), parts[2], parts[3])

    def __str__(self) -> str:
        return f"{self.instance}.{self.pid}.{self.started or 0}.{self.host or 0}"


def short(host: str) -> str:
    return hashlib.sha256(host.encode()).hexdigest()[:12] if host else ""


def bury_the_dead(admin: Admin, group: str, transactional_id_of: Callable[[str], str], host: str) -> None:
    """Before joining: take those out who were killed on this machine, and whom nobody has missed yet."""
    if not host:
        return
    dead: list[str] = []
    for member in admin.describe_group(group).members:
        said = ClientId.read(member.client_id)
        if said is not None and said.host == short(host) and process_start(said.pid) != said.started:
            dead.append(member.member_id)
            _fence(admin, transactional_id_of(said.instance))
    if dead:
        log.info("group %s: %d members of killed processes are taken out", group, len(dead))
        _remove(admin, group, dead)


class Watch:
    """A thread. `dealt` says who is there; `on_death` is called after somebody was buried."""

    def __init__(
        self,
        admin: Admin,
        group: str,
        instance: str,
        host: str,
        dealt: Callable[[], Dealt],
        on_death: Callable[[], None],
    ) -> None:
        self._admin = admin
        self._group = group
        self._instance = instance
        self._host = host
        self._dealt = dealt
        self._on_death = on_death
        self._buried: set[str] = set()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{instance}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_closed.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._is_closed.wait(EVERY_S):
            dead = [
                member
                for member in self._dealt().members
                if member.member_id not in self._buried
                and member.said.instance != self._instance
                and is_dead(member.said, self._host)
            ]
            if dead and not self._is_closed.is_set():
                self._buried.update(member.member_id for member in dead)
                for member in dead:
                    _fence(self._admin, member.said.transactional_id)
                _remove(self._admin, self._group, [member.member_id for member in dead])
                log.info("group %s: %d instances were killed; their tasks are dealt out anew", self._group, len(dead))
                self._on_death()


def _fence(admin: Admin, transactional_id: str) -> None:
    if transactional_id:
        try:
            admin.fence_producer(transactional_id)
        except OdradekError as error:
            log.warning("the transactions of %s are left to time out: %s", transactional_id, error)


def _remove(admin: Admin, group: str, members: Iterable[str]) -> None:
    try:
        admin.remove_members(group, members)
    except OdradekError as error:
        log.debug("group %s: somebody else was quicker, or the session timeout will do it: %s", group, error)
