"""What a fault did, measured from outside: one line for people, the same as fields for programs.

    new leader 3, epoch 5, 41 ms without writes, 0 acked lost
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from chaos.faults.fault import Fault, heal_patiently
from chaos.patient import HEAL_S, ChaosFailed, Patient
from chaos.probe import Probe, lost_of
from testing.waiting import ClusterFailed, wait_until

PROBE_TOPIC = "odradek-chaos-probe"
_ACKS = 25
_SETTLE_S = 0.3


@dataclass(slots=True)
class Outcome:
    """`changes` are what is different now: "new leader 3, epoch 5". Times are milliseconds."""

    done: str
    topic: str
    partition: int
    changes: list[str] = field(default_factory=list)
    without_writes_ms: float | None = 0.0  # None: nothing was written
    acked: int = 0
    lost: int = 0
    doubled: int = 0
    healthy_after_ms: float | None = None

    def __str__(self) -> str:
        changes = self.changes or ["nothing changed"]
        if self.without_writes_ms is None:
            return ", ".join(changes)
        doubled = f", {self.doubled} doubled" if self.doubled else ""
        figures = f"{self.without_writes_ms:.0f} ms without writes", f"{self.lost} acked lost"
        return ", ".join([*changes, *figures]) + doubled

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "text": str(self)}


@dataclass(frozen=True, slots=True)
class _Picture:
    leader: int
    epoch: int
    controller: int
    coordinator: int
    incarnations: dict[int, int]


def watch(
    patient: Patient, fault: Fault, topic: str, partition: int, *, for_s: float | None = None, group: str = ""
) -> Outcome:
    """As `measure`, but nothing is written: only what changed."""
    before = _picture(patient, topic, partition, group)
    began_s = time.monotonic()
    done = suffer(patient, fault, for_s)
    outcome = Outcome(done, topic, partition, without_writes_ms=None)
    time.sleep(_SETTLE_S)
    if for_s is not None or not fault.lasts:
        wait_until(patient.is_running, timeout_s=HEAL_S, what="all brokers to run")
        outcome.healthy_after_ms = (time.monotonic() - began_s) * 1000
    outcome.changes = _changes(before, _picture(patient, topic, partition, group), topic, partition)
    return outcome


def measure(
    patient: Patient, fault: Fault, topic: str, partition: int, *, for_s: float | None = None, group: str = ""
) -> Outcome:
    """Inject while a probe writes to the partition; heal after `for_s` if that is given; tell what became of it.

    Without `for_s` a fault that lasts goes on after this. Raises ChaosFailed when the fault can't be done,
    ClusterFailed when writes don't go on.
    """
    with Probe(patient.bootstrap, topic, partition) as probe:
        probe.wait_for_acks(_ACKS)
        before = _picture(patient, topic, partition, group)
        began_s = time.monotonic()
        done = suffer(patient, fault, for_s)
        probe.wait_for_acks(_ACKS)
        outcome = Outcome(done, topic, partition)
        if for_s is not None or not fault.lasts:
            wait_until(patient.is_running, timeout_s=HEAL_S, what="all brokers to run")
            outcome.healthy_after_ms = (time.monotonic() - began_s) * 1000
        else:
            time.sleep(_SETTLE_S)
        probe.wait_for_acks(_ACKS)
        outcome.changes = _changes(before, _picture(patient, topic, partition, group), topic, partition)
    found = probe.read()
    outcome.without_writes_ms = probe.longest_gap_ms(began_s)
    outcome.acked = len(probe.acked)
    outcome.lost = len(lost_of(probe.acked, found))
    outcome.doubled = sum(len(offsets) > 1 for offsets in found.values())
    return outcome


def suffer(patient: Patient, fault: Fault, for_s: float | None) -> str:
    """Inject, and heal `for_s` after it began; what was done. Whoever gives up meanwhile leaves nothing behind.

    Without `for_s` it goes on, unless it could be done by half only.
    """
    began_s, orders = time.monotonic(), patient.orders
    try:
        done = fault.inject(patient)
    except BaseException:
        if patient.orders > orders:
            with suppress(ChaosFailed, ClusterFailed):
                heal_patiently(fault, patient)
        raise
    if for_s is not None:
        try:
            time.sleep(max(0.0, began_s + for_s - time.monotonic()))
        finally:
            heal_patiently(fault, patient)
    return done


def probe_topic(patient: Patient) -> str:
    """A topic of our own, on as many brokers as three; for faults that are about no topic."""
    from clients.admin_types import NewTopic

    if PROBE_TOPIC not in patient.admin.list_topics():
        replicas = min(3, patient.size())
        configs = {"min.insync.replicas": str(min(2, replicas)), "retention.ms": "3600000"}
        patient.admin.create_topics([NewTopic(PROBE_TOPIC, 1, replicas, configs=configs)])
    return PROBE_TOPIC


def _picture(patient: Patient, topic: str, partition: int, group: str) -> _Picture:
    def look() -> _Picture | None:
        row = patient.partition(topic, partition)
        controller = patient.state().get("controller_id") or 0
        if row.leader < 1 or controller < 1:
            return None
        coordinator = patient.coordinator(group) if group else 0
        incarnations = {broker: int(entry["incarnation"]) for broker, entry in patient.rows().items()}
        return _Picture(row.leader, row.leader_epoch, controller, coordinator, incarnations)

    found: _Picture = wait_until(look, timeout_s=HEAL_S, what=f"{topic}-{partition} to be led")
    return found


def _changes(before: _Picture, now: _Picture, topic: str, partition: int) -> list[str]:
    changes = []
    if now.leader != before.leader or now.epoch != before.epoch:
        new = "new leader" if now.leader != before.leader else f"{topic}-{partition} is led again by"
        changes.append(f"{new} {now.leader}, epoch {now.epoch}")
    if now.controller != before.controller:
        changes.append(f"new controller {now.controller}")
    if now.coordinator != before.coordinator:
        changes.append(f"new coordinator {now.coordinator}")
    for broker, incarnation in now.incarnations.items():
        if incarnation != before.incarnations.get(broker):
            changes.append(f"broker {broker} is incarnation {incarnation}")
    return changes


