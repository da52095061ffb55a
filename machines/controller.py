"""The controller: what happens to the cluster goes in, durable records and messages come out.

    effects = machine.step(BrokerDied(2, incarnation=7), now_ms)
    [AppendRecords(...), Broadcast(MetadataUpdate(...))]

The shell performs effects strictly in order: nothing is sent before the records it tells of are durable. It may let
later steps run meanwhile. When an append fails the machine has decided things that never happened: throw it away.

    controller_state.py      what all parts work on          controller_topics.py     create, delete, grow topics
    controller_brokers.py    register, die, shut down        controller_configs.py    alter configs
    controller_sessions.py   who is heard, and who is not    controller_reassign.py   move replicas
    controller_elections.py  who leads                       placement.py             where replicas go
    controller_isr.py        AlterIsr
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from machines.controller_brokers import (
    allocate_producer_ids,
    broker_down,
    controlled_shutdown,
    fence,
    fence_the_missing,
    register,
    replicas_offline,
    unregister,
)
from machines.controller_configs import alter_configs
from machines.controller_elections import elect_leaders, rebalance
from machines.controller_isr import alter_isr
from machines.controller_reassign import alter_reassignments, list_reassignments
from machines.controller_sessions import Sessions, heartbeat
from machines.controller_state import ControllerState
from machines.controller_topics import create_partitions, create_topics, delete_topics
from machines.metadata import MetadataImage
from model.configs import BrokerConfig
from protocol import cluster_admin as admin
from protocol import cluster_control as control
from protocol.cluster_control import ControllerIs, ControllerReply, ControllerRequest, MetadataSnapshot, MetadataUpdate
from protocol.metadata_records import ControllerRecord, MetadataRecord

KEPT_RECORDS = 4096
"""How far behind a broker may be and still get the records it lacks instead of a snapshot."""

SNAPSHOT_AFTER_RECORDS = 20_000
"""The log is cut back to a snapshot after so many records, which bounds its size and the time of a replay."""


@dataclass(frozen=True, slots=True)
class Elected:
    """This broker holds the lease. `alive` is broker -> incarnation as the supervisor last said."""

    broker_id: int
    controller_epoch: int
    alive: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class BrokerDied:
    broker_id: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request from a broker; the reply goes to it."""

    broker_id: int
    request: ControllerRequest


@dataclass(frozen=True, slots=True)
class Tick:
    """About once a second."""


Event = Elected | BrokerDied | Asked | Tick


@dataclass(frozen=True, slots=True)
class AppendRecords:
    """Make durable, as one write, that the log goes on with `records` after `base_version`."""

    base_version: int
    records: list[MetadataRecord]


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """Store the image, all of whose records are appended by now, and cut the log."""

    version: int
    records: list[MetadataRecord]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """To every live broker, the controller's own included."""

    message: ControllerIs | MetadataUpdate


@dataclass(frozen=True, slots=True)
class Send:
    broker_id: int
    message: ControllerReply | MetadataUpdate | MetadataSnapshot


@dataclass(frozen=True, slots=True)
class Resign:
    """Let somebody else have the lease: too few brokers hear this one. The last effect of this machine."""


Effect = AppendRecords | StoreSnapshot | Broadcast | Send | Resign

_HANDLERS: dict[type[Any], Callable[[ControllerState, Any], ControllerReply]] = {
    control.RegisterBroker: register,
    control.BrokerHeartbeat: heartbeat,
    control.ControlledShutdown: controlled_shutdown,
    control.UnregisterBroker: unregister,
    control.AllocateProducerIds: allocate_producer_ids,
    control.AlterIsr: alter_isr,
    control.ReplicasOffline: replicas_offline,
    admin.CreateTopics: create_topics,
    admin.DeleteTopics: delete_topics,
    admin.CreatePartitions: create_partitions,
    admin.AlterConfigs: alter_configs,
    admin.ElectLeaders: elect_leaders,
    admin.AlterReassignments: alter_reassignments,
    admin.ListReassignments: list_reassignments,
}


class ControllerMachine:
    """`image` and `records_in_log` are as replayed; the first event must be Elected. Owns the image from then on."""

    def __init__(
        self, image: MetadataImage, config: BrokerConfig, *, seed: bytes = bytes(16), records_in_log: int = 0
    ) -> None:
        self.state = ControllerState(image, config, seed)
        self.sessions = Sessions(self.state)
        self._records_in_log = records_in_log
        self._next_rebalance_ms = 0
        self._has_resigned = False
        self._recent: deque[MetadataRecord] = deque(maxlen=KEPT_RECORDS)

    @property
    def image(self) -> MetadataImage:
        return self.state.image

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        if self._has_resigned:
            return []
        base_version = self.image.version
        after: list[Effect] = []
        match event:
            case Asked():
                self.sessions.hear(event.request, now_ms)
                reply = _HANDLERS[type(event.request)](self.state, event.request)
                after.append(Send(event.broker_id, reply))
            case BrokerDied():
                broker_down(self.state, event.broker_id, event.incarnation)
            case Elected():
                self.state.record(ControllerRecord(event.broker_id, event.controller_epoch))
                fence_the_missing(self.state, event.alive)
                self.sessions.begin(event.alive, now_ms)
                self._next_rebalance_ms = now_ms + self._rebalance_interval_ms()
                after.append(Broadcast(self.announcement()))
            case Tick():
                after.append(self._tick(now_ms))
        effects = self._effects_of_batch(base_version)
        if isinstance(event, Asked) and isinstance(event.request, control.RegisterBroker):
            # before the update, which would not fit onto the image of a broker that is new
            effects.insert(1 if effects else 0, self._catch_up(event.broker_id, event.request.last_version))
        return effects + after + ([] if self._has_resigned else self._snapshot_when_due())

    def check(self) -> None:
        """The invariants between steps; AssertionError says which one broke."""
        self.image.check()
        assert not self.state.batch, "records that were never made durable"

    def _tick(self, now_ms: int) -> Effect:
        if self.sessions.is_cut_off(now_ms):
            return self._resign()
        for broker in self.sessions.unheard(now_ms):
            fence(self.state, broker)
        if now_ms >= self._next_rebalance_ms:
            self._next_rebalance_ms = now_ms + self._rebalance_interval_ms()
            if self.state.config.get_bool("auto.leader.rebalance.enable"):
                rebalance(self.state)
        return Broadcast(self.announcement())

    def _resign(self) -> Effect:
        """What this broker leads goes to others at once: the next controller would wait for it a whole session."""
        self._has_resigned = True
        me = self.image.brokers.get(self.image.controller_id)
        if me is not None and not me.is_fenced:
            fence(self.state, me)
        return Resign()

    def _rebalance_interval_ms(self) -> int:
        return self.state.config.get_int("leader.imbalance.check.interval.seconds") * 1000

    def announcement(self) -> ControllerIs:
        return ControllerIs(self.image.controller_id, self.image.controller_epoch, self.image.version)

    def _effects_of_batch(self, base_version: int) -> list[Effect]:
        records = self.state.take_batch()
        if not records:
            return []
        self._recent.extend(records)
        self._records_in_log += len(records)
        update = MetadataUpdate(self.image.controller_epoch, base_version, records)
        return [AppendRecords(base_version, records), Broadcast(update)]

    def _catch_up(self, broker_id: int, last_version: int) -> Send:
        """What takes a broker from `last_version` to now."""
        image = self.image
        lacking = image.version - last_version
        if last_version >= 0 and 0 <= lacking <= len(self._recent):
            records = list(self._recent)[len(self._recent) - lacking :]
            return Send(broker_id, MetadataUpdate(image.controller_epoch, last_version, records))
        return Send(broker_id, MetadataSnapshot(image.controller_epoch, image.version, image.to_records()))

    def _snapshot_when_due(self) -> list[Effect]:
        if self._records_in_log < SNAPSHOT_AFTER_RECORDS:
            return []
        records = self.image.to_records()
        self._records_in_log = 0
        return [StoreSnapshot(self.image.version, records)]
