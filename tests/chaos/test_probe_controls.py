"""What is not protected gets lost, and the probe sees it: else its "0 acked lost" would mean nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from chaos.faults.damage import active_log, batch_starts, is_stopped
from chaos.faults.kill import Kill
from chaos.patient import Patient
from chaos.probe import Probe
from chaos.workloads.clients import producer
from odradek import Cluster, NewTopic, wait_until
from protocol.cluster_chaos import LinkRule, Network
from testing.waiting import ClusterFailed

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TOPIC = "unprotected"
LAG_MS = 1_000


@pytest.fixture
def patient() -> Iterator[Patient]:
    configs = {"replica.lag.time.max.ms": str(LAG_MS), "auto.leader.rebalance.enable": "false"}
    with Cluster(brokers=3, configs=configs) as cluster, closing(Patient(cluster.data_dir, topics=[TOPIC])) as found:
        yield found


def create(patient: Patient, **configs: str) -> int:
    """The topic; its leader."""
    named = {name.replace("_", "."): value for name, value in configs.items()}
    patient.admin.create_topics([NewTopic(TOPIC, 1, 3, configs=named)])
    patient.wait_until_healthy()
    return patient.leader(TOPIC, 0)


def hold_back(patient: Patient, leader: int) -> None:
    """Followers get the leader's records ten seconds late, as over a bad line."""
    patient.order(leader, Network((LinkRule(kind="Replicate", delay_ms=10_000),)))


@pytest.mark.parametrize("acks", ["1", "0"])
def test_without_all_acks_a_kill_of_the_leader_loses_writes(patient: Patient, acks: str) -> None:
    leader = create(patient, min_insync_replicas="2")
    with Probe(patient.bootstrap, TOPIC, 0, acks=acks) as probe:
        probe.wait_for_acks(50)
        hold_back(patient, leader)
        probe.wait_for_acks(50)
        Kill("leader").inject(patient)
        wait_until(lambda: patient.leader(TOPIC, 0) != leader, what="another leader")
        probe.wait_for_acks(50)
        patient.wait_until_healthy()
    assert probe.lost()


def test_with_all_acks_the_same_loses_nothing(patient: Patient) -> None:
    leader = create(patient, min_insync_replicas="2")
    with Probe(patient.bootstrap, TOPIC, 0) as probe:
        probe.wait_for_acks(50)
        hold_back(patient, leader)
        Kill("leader").inject(patient)
        wait_until(lambda: patient.leader(TOPIC, 0) != leader, what="another leader")
        probe.wait_for_acks(50)
        patient.wait_until_healthy()
    assert probe.lost() == [] and probe.doubled() == []


def alone_in_the_isr(patient: Patient, leader: int) -> None:
    """Both followers fall behind and leave."""
    hold_back(patient, leader)
    wait_until(lambda: patient.partition(TOPIC, 0).isr == (leader,), what="the leader to be alone")


def test_an_unclean_election_loses_what_only_the_leader_had(patient: Patient) -> None:
    leader = create(patient, min_insync_replicas="1", unclean_leader_election_enable="true")
    with Probe(patient.bootstrap, TOPIC, 0) as probe:
        probe.wait_for_acks(50)
        alone_in_the_isr(patient, leader)
        probe.wait_for_acks(50)
        Kill("leader").inject(patient)
        wait_until(lambda: patient.leader(TOPIC, 0) != leader, what="an unclean leader")
        probe.wait_for_acks(50)
        patient.wait_until_healthy()
    assert probe.lost()


def test_one_replica_that_acknowledges_alone_and_loses_its_disk_takes_the_writes_along(patient: Patient) -> None:
    leader = create(patient, min_insync_replicas="1")
    with Probe(patient.bootstrap, TOPIC, 0) as probe:
        probe.wait_for_acks(50)
        followers = [broker for broker in (1, 2, 3) if broker != leader]
        alone_in_the_isr(patient, leader)
        probe.wait_for_acks(100)
    assert followers
    log = active_log(patient.directory(leader) / f"{TOPIC}-0")
    pid = patient.strike(leader, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid), every_s=0.001)
    os.truncate(log, batch_starts(log, 50)[0])
    (patient.directory(leader) / ".boot").unlink()
    os.kill(pid, signal.SIGKILL)
    patient.wait_until_healthy()
    assert probe.lost()


def test_somebody_elses_transactions_hide_nothing_of_it(patient: Patient) -> None:
    create(patient, min_insync_replicas="2")
    client = producer(patient.bootstrap, transactional_id="somebody")
    client.init_transactions(30)
    client.begin_transaction()
    client.produce(TOPIC, b"in an open transaction", partition=0)
    client.flush(30)
    with Probe(patient.bootstrap, TOPIC, 0) as probe:
        probe.wait_for_acks(50)
    assert len(probe.read()) == len(probe.acked) and not probe.lost()
    client.commit_transaction(30)  # and now a marker, which no consumer is handed, stands at the end
    assert len(probe.read()) == len(probe.acked) and not probe.lost()


def test_a_compacted_topic_can_be_written_to_as_well(patient: Patient) -> None:
    create(patient, cleanup_policy="compact")
    with Probe(patient.bootstrap, TOPIC, 0) as probe:
        probe.wait_for_acks(50)
    assert not probe.lost() and not probe.failed


def test_why_nothing_is_written_is_said(patient: Patient) -> None:
    create(patient, max_message_bytes="1")
    with Probe(patient.bootstrap, TOPIC, 0) as probe, pytest.raises(ClusterFailed, match=r"in vain .*TOO_LARGE"):
        wait_until(lambda: probe.failed, what="a refusal")
        probe.wait_for_acks(1, timeout_s=0.1)
