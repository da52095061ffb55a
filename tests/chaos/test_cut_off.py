"""A broker that the others don't hear loses its lead within a session, and takes part again when it is heard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from history import (
    SteadyWriter,
    check_nothing_lost_doubled_or_reordered,
    check_replicas_are_identical,
    log_bytes,
    read_all,
)

from chaos.patient import Patient
from chaos.plan import fault_of
from odradek import Cluster, NewTopic, wait_until
from protocol.events import Event

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SESSION_MS = 2_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3, configs={"broker.session.timeout.ms": str(SESSION_MS)}) as running:
        yield running


def events_of(cluster: Cluster, kind: str, subject: str, known: set[int]) -> list[Event]:
    return [each for each in cluster.events() if each.id not in known and (each.kind, each.subject) == (kind, subject)]


@pytest.mark.parametrize("whom", ["leader", "controller and leader"])
def test_others_take_over_from_whoever_is_cut_off_and_nothing_acknowledged_is_lost(cluster: Cluster, whom: str) -> None:
    topic = whom.replace(" ", "-")
    with closing(Patient(cluster.data_dir, topics=[topic])) as patient:
        controller = patient.controller()
        victim = controller if "controller" in whom else next(b for b in (1, 2, 3) if b != controller)
        replicas = (victim, *(broker for broker in (1, 2, 3) if broker != victim))
        topic_configs = {"min.insync.replicas": "2"}
        cluster.admin.create_topics([NewTopic(topic, assignments={0: replicas}, configs=topic_configs)])
        patient.wait_until_healthy()
        lives = {broker: patient.incarnation(broker) for broker in (1, 2, 3)}
        known = {event.id for event in cluster.events()}
        writer = SteadyWriter(cluster.bootstrap, topic)
        writer.wait_for_new_acks()

        cut = fault_of("partition", {"shape": "one", "broker": victim})
        cut.inject(patient)
        elected = wait_until(
            lambda: events_of(cluster, "leader-elected", f"{topic}-0", known), timeout_s=30, what="a new leader"
        )
        assert elected[0].details["was"] == victim and elected[0].details["leader"] != victim
        assert victim not in elected[0].details["isr"]
        writer.wait_for_new_acks(timeout_s=60)  # the cut still lasts
        removed = events_of(cluster, "broker-removed", f"broker {victim}", known)
        assert removed[0].details["reason"] == "it is not heard"
        new_controller = wait_until(patient.controller, what="a controller")
        assert (new_controller != victim) if victim == controller else (new_controller == controller)

        leader = events_of(cluster, "leader-elected", f"{topic}-0", known)[-1].details["leader"]
        deserted, followed = (log_bytes(patient.directory(b) / f"{topic}-0", 1 << 62) for b in (victim, leader))
        assert not followed.startswith(deserted), "it wrote on, and that must be cut"

        cut.heal(patient)
        # Until it hears the news, the deserted leader goes on telling clients that it leads and that all are in sync.
        wait_until(
            lambda: any(
                victim in event.details["joined"] for event in events_of(cluster, "isr-changed", f"{topic}-0", known)
            ),
            timeout_s=60,
            what="the broker that was cut off to be in sync again",
        )
        patient.wait_until_healthy()
        writer.wait_for_new_acks()
        writer.stop()
        assert not writer.failed
        assert {broker: patient.incarnation(broker) for broker in (1, 2, 3)} == lives, "nobody had to start anew"
        found = read_all(cluster.bootstrap, topic, 1)
        check_nothing_lost_doubled_or_reordered(writer, found)
        ends = {0: found[0][-1][0] + 1}
        patient.wait_until_healthy()
        check_replicas_are_identical(cluster.data_dir, topic, ends, 3)
