"""One partition of `__consumer_offsets` that is led here: its groups, replayed from its log.

The shell starts when this broker begins to lead the partition and ends with that role. It replays the log in slices, so
that nothing else on the loop waits; requests that come meanwhile wait a little before they are told to come again.
Every group is an actor below it, started when there is something to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.actor import Actor
from actors.alarms import Alarms
from actors.append_request import AppendRequest
from actors.group_coordinator import GroupCoordinator, Mail
from actors.group_mail import GroupCall
from actors.offsets_records import decode, encode
from machines.group import Group
from machines.group_events import NEVER_MS, Append, AppendInTransaction, GroupConfig, TopicsChanged, TransactionEnded
from machines.topic_view import TopicView
from model.errors import ErrorCode
from protocol.control_batches import end_txn_marker
from protocol.records import iter_batches

if TYPE_CHECKING:
    from actors.replica import Replica

logger = logging.getLogger(__name__)

SLICE_BYTES = 64 << 10
PATIENCE_MS = 500
RELOAD_AFTER_MS = 50


@dataclass(slots=True)
class GroupPorts:
    """What the shells of groups use of their broker."""

    alarms: Alarms
    wall_ms: Callable[[], int]
    config: Callable[[str], GroupConfig]
    commit_timeout_ms: int
    topics: TopicView
    pace_ms: Callable[[str], int]

    def now_ms(self) -> int:
        return self.alarms.now_ms()


class Load:
    """Go on with the replay `number`."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class OffsetsPartition(Actor):
    """The groups of one partition. `is_loaded` and `groups` may be looked at by anyone on the loop."""

    def __init__(self, replica: Replica, ports: GroupPorts) -> None:
        super().__init__()
        self.replica = replica
        self.ports = ports
        self.groups: dict[str, Group] = {}
        self.is_loaded = False
        self._running: dict[str, GroupCoordinator] = {}
        self._parked: list[tuple[str, GroupCall]] = []
        self._number = 0
        self._position = self._goal = 0

    def on_start(self) -> None:
        """Begin the replay."""
        self._reload()

    def on_receive(self, message: Load) -> None:
        """One slice of the replay."""
        if message.number == self._number and not self.is_loaded:
            self._load_slice()

    def on_stop(self) -> None:
        """The role ends; the groups below have ended already."""
        self.replica.waiters.discard(self._on_advance)
        self.is_loaded = False  # until the next instance is there, requests still come here: they wait
        self._refuse_parked(ErrorCode.NOT_COORDINATOR)

    def on_failure(self, *_: object) -> None:
        """A replay that fails is tried again by the supervisor."""
        self.on_stop()

    # -- replay --------------------------------------------------------------------------------------------------------

    def reload_soon(self) -> None:
        """Something that a machine applied is not in the log: forget everything and replay, after a breath."""
        if self.is_loaded:
            self.is_loaded = False
            self.system.loop.call_soon(self._end_groups)
            number = self._number
            self.ports.alarms.set(self.ports.now_ms() + RELOAD_AFTER_MS, lambda: self._reload_if(number))

    def _reload_if(self, number: int) -> None:
        if number == self._number and not self.actor_stopped.is_set():
            self._reload()

    def _end_groups(self) -> None:
        for group_id in list(self._running):
            self._end_group(group_id)

    def _reload(self) -> None:
        self._end_groups()
        self.is_loaded = False
        self.groups = {}
        self._number += 1
        log = self.replica.log
        self._position, self._goal = log.log_start_offset, log.log_end_offset
        self.tell(self.path, Load(self._number))

    def _load_slice(self) -> None:
        data = b""
        if self._position < self._goal:
            data = self.replica.log.read(self._position, SLICE_BYTES, up_to=self._goal)  # type: ignore[assignment]
        if len(data):
            for header in iter_batches(data):
                if header.is_control:
                    marker = end_txn_marker(data, header)
                    if marker is not None:
                        for group in self.groups.values():
                            group.offsets.complete_transaction(header.producer_id, marker.is_commit)
                else:
                    producer_id = header.producer_id if header.is_transactional else -1
                    for record in decode(data, header):
                        self._group(record.group_id).apply(record.key, record.value, producer_id)
                self._position = header.next_offset
            self.schedule(0, Load(self._number))  # others have their turn between two slices
        elif self.replica.high_watermark < self._goal:
            # What is not yet on every replica in sync may still be lost: nobody is shown it until it can't be.
            self.replica.waiters.add(self._on_advance)
        elif self._goal < self.replica.log.log_end_offset:
            # Markers came meanwhile. Nobody told the groups of them, since these were not there yet.
            self._goal = self.replica.log.log_end_offset
            self.tell(self.path, Load(self._number))
        else:
            self._finish_load()

    def _on_advance(self) -> None:
        if self.replica.high_watermark >= self._goal:
            self.replica.waiters.discard(self._on_advance)
            self.tell(self.path, Load(self._number))

    def _finish_load(self) -> None:
        self.is_loaded = True
        self.groups = {name: group for name, group in self.groups.items() if not group.is_blank}
        now_ms = self.ports.now_ms()
        for group in self.groups.values():
            group.after_replay(now_ms)
            if group.next_deadline_ms < NEVER_MS:
                self._start(group)
        parked, self._parked = self._parked, []
        for group_id, call in parked:
            self.deliver(group_id, call)

    def _group(self, group_id: str) -> Group:
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = Group(group_id, self.ports.config(group_id))
        return group

    # -- mail ----------------------------------------------------------------------------------------------------------

    def deliver(self, group_id: str, call: GroupCall) -> None:
        """A client's request to a group of this partition; it is answered, sooner or later."""
        if not self.is_loaded:
            if not self._parked:
                self.ports.alarms.set(self.ports.now_ms() + PATIENCE_MS, self._lose_patience)
            self._parked.append((group_id, call))
        elif not self._tell(group_id, call):
            call.refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    def broadcast(self, message: Mail) -> None:
        """News for every group that they may concern; while loading, the log itself brings it."""
        if self.is_loaded:
            for group_id, group in list(self.groups.items()):
                if isinstance(message, TransactionEnded) and not self._is_in_transaction(group, message.producer_id):
                    continue
                if isinstance(message, TopicsChanged) and not group.consumer.exists:
                    continue
                self._tell(group_id, message)

    def _is_in_transaction(self, group: Group, producer_id: int) -> bool:
        """Whether the producer has offsets pending in the group, or on the way into its log.

        The transaction may end (its time is over, another producer took its place) before the group's actor has heard
        that they are in the log; they do come first in its inbox.
        """
        actor = self._running.get(group.group_id)
        return producer_id in group.offsets.pending or (actor is not None and actor.is_appending_for(producer_id))

    def _tell(self, group_id: str, message: Mail) -> bool:
        if group_id not in self._running:
            self._start(self._group(group_id))
        return self.system.tell(path_of(group_id), message)

    def _start(self, group: Group) -> None:
        def make() -> GroupCoordinator:
            actor = self._running[group.group_id] = GroupCoordinator(group, self)
            return actor

        self.system.start(path_of(group.group_id), make, supervisor=self.path, restart="temporary")

    def forget(self, group_id: str) -> None:
        """The group is blank: it exists no more."""
        self.groups.pop(group_id, None)
        self.system.loop.call_soon(self._end_if_forgotten, group_id)

    def _end_if_forgotten(self, group_id: str) -> None:
        if group_id not in self.groups and group_id in self._running:
            self._end_group(group_id)

    def _end_group(self, group_id: str) -> None:
        self._running.pop(group_id, None)
        self.system.stop(path_of(group_id))

    def _lose_patience(self) -> None:
        if not self.is_loaded:
            self._refuse_parked(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)

    def _refuse_parked(self, error: ErrorCode) -> None:
        parked, self._parked = self._parked, []
        for _, call in parked:
            call.refuse(error)

    # -- the log -------------------------------------------------------------------------------------------------------

    def append(self, effect: Append | AppendInTransaction, done: Callable[[AppendRequest], None]) -> None:
        """Write the records to our partition; `done` is called when every replica in sync has them, or on failure."""
        wall_ms = self.ports.wall_ms()
        if isinstance(effect, Append):
            request = AppendRequest(encode(effect.records, wall_ms), -1, done)
        else:
            request = AppendRequest(
                encode(effect.records, wall_ms, effect.producer_id, effect.producer_epoch),
                -1,
                done,
                transactional_id=effect.transactional_id,
                transaction_version=effect.transaction_version,
                from_client=False,
            )
        if not self.system.tell(self.replica.address, request):
            request.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)


def path_of(group_id: str) -> str:
    return f"/group/{group_id}"
