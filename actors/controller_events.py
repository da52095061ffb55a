"""What the controller decided, told as events: who leads what and why, who left or joined which ISR, who is fenced.

Looks at the effects of each step of the controller's machine and remembers the state before, to tell what changed. The
cause of each change is the event that the machine was given: a broker's death, its return, a leader's proposal.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.event_log import Silence
from machines.controller import AppendRecords, Asked, BrokerDied, Effect, Elected, Event, Tick
from machines.metadata import NO_LEADER, MetadataImage, PartitionInfo
from protocol import cluster_control as control
from protocol.cluster_admin import ElectLeaders
from protocol.events import NOTHING, birth, blow, death
from protocol.metadata_records import BrokerRecord, PartitionRecord

_KEPT_CAUSES = 256


class ControllerEvents:
    """Told by the controller what it has replayed, then every step."""

    def __init__(self, events: Silence, broker_id: int) -> None:
        self.events = events
        self.broker_id = broker_id
        self._former: tuple[int, int] = (NO_LEADER, 0)  # the controller before this one, and its epoch
        self._before: dict[tuple[str, int], PartitionInfo] = {}
        self._brokers: dict[int, BrokerRecord] = {}
        self._left: dict[tuple[str, int, int], tuple[int, int]] = {}  # of whom: (event, incarnation)
        self._joined: dict[tuple[str, int], int] = {}  # the last event of a broker that joined
        self._causes: dict[int, int] = {}  # base version of an update -> its cause

    def cause_of(self, message: object) -> int:
        """The event behind a MetadataUpdate, for its envelope."""
        return self._causes.get(message.base_version, NOTHING) if type(message) is control.MetadataUpdate else NOTHING

    def on_replayed(self, image: MetadataImage) -> None:
        """What the log says when this broker becomes the controller: all of it was told by those who decided it.

        What the broker itself had heard may be older, e.g. when it was cut off from the controller before it.
        """
        self._before = {(p.topic, p.partition): p for p in image.all_partitions()}
        self._brokers = dict(image.brokers)
        self._former = image.controller_id, image.controller_epoch
        self._left.clear()
        self._joined.clear()
        self._causes.clear()

    def on_step(self, event: Event, effects: Sequence[Effect]) -> None:
        """Called after each step of the machine, before its effects are performed."""
        cause, reason = self._cause(event)
        for effect in effects:
            if isinstance(effect, AppendRecords):
                unheard = self._unheard(effect, event)
                if unheard is not None:
                    cause, reason = unheard
                if len(self._causes) >= _KEPT_CAUSES:
                    del self._causes[next(iter(self._causes))]
                self._causes[effect.base_version] = cause
                for record in effect.records:
                    if type(record) is PartitionRecord:
                        self._on_partition(record, cause, reason)
                    elif type(record) is BrokerRecord:
                        self._on_broker(record, reason)

    def _cause(self, event: Event) -> tuple[int, str]:
        match event:
            case BrokerDied(broker_id, incarnation):
                return death(broker_id, incarnation), f"broker {broker_id} died"
            case Elected(broker_id, epoch, alive):
                return self._on_elected(broker_id, epoch, dict(alive))
            case Tick():
                return NOTHING, "the preferred leader is back"
            case Asked(broker_id, control.RegisterBroker() as request):
                return birth(broker_id, request.incarnation), f"broker {broker_id} came"
            case Asked(broker_id, control.ControlledShutdown() as request):
                return blow(broker_id, request.incarnation), f"broker {broker_id} stops"
            case Asked(broker_id, control.AlterIsr()):
                return NOTHING, f"proposed by leader {broker_id}"
            case Asked(broker_id, control.ReplicasOffline()):
                return NOTHING, f"a disk of broker {broker_id} failed"
            case Asked(_, ElectLeaders()):
                return NOTHING, "an election was asked for"
            case Asked(_, request):
                return NOTHING, type(request).__name__
        return NOTHING, ""

    def _unheard(self, effect: AppendRecords, event: Event) -> tuple[int, str] | None:
        """Who is fenced without a death: told here, since it is the cause of the rest."""
        if type(event) is not Tick:
            return None
        fenced = [record for record in effect.records if type(record) is BrokerRecord and record.is_fenced]
        if not fenced:
            return None
        told = NOTHING
        for record in fenced:
            self._brokers[record.broker_id] = record
            told = self.events.tell(
                "broker-removed", f"broker {record.broker_id}", incarnation=record.incarnation, reason="it is not heard"
            )
        names = ", ".join(str(record.broker_id) for record in fenced)
        return told, f"broker {names} is not heard"

    def _on_elected(self, broker_id: int, epoch: int, alive: dict[int, int]) -> tuple[int, str]:
        former_id, former_epoch = self._former
        former = self._brokers.get(former_id)
        cause, reason = NOTHING, f"broker {broker_id} is the controller"
        if former is not None and alive.get(former.broker_id) != former.incarnation:
            cause, reason = death(former.broker_id, former.incarnation), f"broker {former.broker_id} died"
        elif former is not None and former.is_shutting_down:
            cause = blow(former.broker_id, former.incarnation)
        elif former is None:  # nobody was before it: all of them have just started
            cause, reason = birth(broker_id, alive.get(broker_id, 0)), "no controller was left"
        was = former_id if former_epoch else NO_LEADER
        told = self.events.tell(
            "controller-elected", "controller", cause=cause, controller=broker_id, epoch=epoch, was=was
        )
        return told, reason

    def _on_broker(self, record: BrokerRecord, reason: str) -> None:
        before = self._brokers.get(record.broker_id)
        self._brokers[record.broker_id] = record
        subject = f"broker {record.broker_id}"
        if record.is_fenced:
            if before is None or not before.is_fenced:
                own = death(record.broker_id, record.incarnation)
                self.events.tell("broker-removed", subject, cause=own, incarnation=record.incarnation, reason=reason)
        elif before is None or before.is_fenced or before.incarnation != record.incarnation:
            own = birth(record.broker_id, record.incarnation)
            self.events.tell("broker-registered", subject, cause=own, incarnation=record.incarnation)

    def _on_partition(self, now: PartitionInfo, cause: int, reason: str) -> None:
        place = (now.topic, now.partition)
        before = self._before.get(place)
        self._before[place] = now
        subject = f"{now.topic}-{now.partition}"
        if before is None:
            self.events.tell("leader-elected", subject, cause=cause, leader=now.leader, epoch=now.leader_epoch,
                             was=NO_LEADER, isr=list(now.isr), reason=reason)  # fmt: skip
            return
        if now.leader_epoch != before.leader_epoch:
            if cause == NOTHING and now.leader in before.isr:
                cause = self._joined.get(place, NOTHING)
            self.events.tell("leader-elected", subject, cause=cause, leader=now.leader, epoch=now.leader_epoch,
                             was=before.leader, isr=list(now.isr), reason=reason)  # fmt: skip
        if set(now.isr) != set(before.isr):
            self._on_isr(place, subject, before, now, cause, reason)

    def _on_isr(
        self,
        place: tuple[str, int],
        subject: str,
        before: PartitionInfo,
        now: PartitionInfo,
        cause: int,
        reason: str,
    ) -> None:
        gone, come = sorted(set(before.isr) - set(now.isr)), sorted(set(now.isr) - set(before.isr))
        for broker_id in come:
            broker = self._brokers.get(broker_id)
            incarnation = broker.incarnation if broker is not None else 0
            event, left_as = self._left.pop((*place, broker_id), (NOTHING, 0))
            # it was merely late, or it is a new process that has caught up
            cause = cause or (event if left_as == incarnation else birth(broker_id, incarnation))
        told = self.events.tell("isr-changed", subject, cause=cause, isr=list(now.isr), was=list(before.isr),
                                joined=come, left=gone, epoch=now.leader_epoch, reason=reason)  # fmt: skip
        for broker_id in gone:
            broker = self._brokers.get(broker_id)
            self._left[(*place, broker_id)] = (told, broker.incarnation if broker is not None else 0)
        if come:
            self._joined[place] = told
