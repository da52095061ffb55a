"""Every fault on real processes: it does what it says, the timeline tells why, and nothing acknowledged is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chaos.faults import FAULTS, Fault
from chaos.outcome import Outcome, measure
from chaos.patient import ChaosFailed, Patient
from chaos.plan import fault_of
from chaos.timeline import Timeline
from odradek import Cluster, NewTopic, Producer, wait_until
from protocol.events import Event

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TOPIC = "orders"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3, options=["--restarts-per-minute", "1000"]) as running:
        running.admin.create_topics([NewTopic(TOPIC, 2, 3, configs={"min.insync.replicas": "2"})])
        yield running


@pytest.fixture
def patient(cluster: Cluster) -> Iterator[Patient]:
    """Whole at the beginning; the next test waits until it is again."""
    with closing(Patient(cluster.data_dir, topics=[TOPIC], seed=11, revive=cluster.start)) as found:
        found.wait_until_healthy()
        yield found


def suffer(patient: Patient, name: str, for_s: float | None = 0.5, **options: object) -> Outcome:
    outcome = measure(patient, fault_of(name, options), TOPIC, 0, for_s=for_s)
    assert (outcome.lost, outcome.doubled) == (0, 0) and outcome.acked > 0, outcome
    return outcome


def since(cluster: Cluster, before: list[Event], kind: str) -> list[Event]:
    known = {event.id for event in before}
    return [event for event in cluster.events() if event.id not in known and event.kind == kind]


def chain_of(cluster: Cluster, event: Event) -> list[str]:
    return [each.kind for each in Timeline(cluster.events()).chain(event)]


def test_a_killed_leader_has_a_successor_and_the_chain_says_why(cluster: Cluster, patient: Patient) -> None:
    before, victim = cluster.events(), patient.leader(TOPIC, 0)
    outcome = suffer(patient, "kill", whom="leader", of=f"{TOPIC}/0")
    now = patient.partition(TOPIC, 0)
    assert now.leader != victim and f"new leader {now.leader}, epoch {now.leader_epoch}" in str(outcome)
    assert "0 acked lost" in str(outcome) and "ms without writes" in str(outcome)
    leading = [event for event in since(cluster, before, "leading") if event.subject == f"{TOPIC}-0"]
    told = chain_of(cluster, leading[0])
    # when the controller died with it, its successor was elected in between
    assert told[:2] == ["signal", "broker-down"] and told[-2:] == ["leader-elected", "leading"]


@pytest.mark.parametrize("whom", ["follower", "controller", "majority", "all"])
def test_whoever_is_killed_comes_back(patient: Patient, whom: str) -> None:
    lives = {broker: patient.incarnation(broker) for broker in (1, 2, 3)}
    suffer(patient, "kill", whom=whom)
    died = [broker for broker, life in lives.items() if patient.incarnation(broker) > life]
    assert len(died) == {"majority": 2, "all": 3}.get(whom, 1)


def test_a_killed_supervisor_takes_its_brokers_along_and_nothing_is_lost(cluster: Cluster, patient: Patient) -> None:
    pids = set(cluster.pids().values())
    suffer(patient, "kill", whom="supervisor")
    assert pids.isdisjoint(cluster.pids().values())


def test_a_paused_broker_is_the_same_one_after_a_moment_and_another_after_a_while(patient: Patient) -> None:
    life = patient.incarnation(2)
    suffer(patient, "pause", for_s=0.2, broker=2)
    assert patient.incarnation(2) == life
    suffer(patient, "pause", for_s=2.0, broker=2)
    assert patient.incarnation(2) == life + 1


@pytest.mark.parametrize("shape", ["one", "ring", "one-way", "clients"])
def test_writes_go_on_once_a_partition_is_over(patient: Patient, shape: str) -> None:
    suffer(patient, "partition", shape=shape)


def test_a_leader_that_is_not_heard_cannot_commit(patient: Patient) -> None:
    leader = patient.leader(TOPIC, 0)
    outcome = suffer(patient, "partition", for_s=1.0, shape="one", broker=leader)
    assert outcome.without_writes_ms > 500


def test_a_bad_network_delays_and_loses_nothing(patient: Patient) -> None:
    outcome = suffer(patient, "noise", for_s=1.0, loss=0.2, duplication=0.2, delay_ms=60, jitter_ms=30)
    assert outcome.without_writes_ms > 50, "nothing was acknowledged while the first records were on their way"


def test_a_wrong_clock_stamps_records_wrongly(cluster: Cluster, patient: Patient) -> None:
    cluster.admin.create_topics([NewTopic("stamped", 1, 1, configs={"message.timestamp.type": "LogAppendTime"})])
    leader = patient.leader("stamped", 0)
    with Producer({"bootstrap.servers": cluster.bootstrap}) as producer:
        right = producer.send("stamped", b"x").result(10).timestamp
        clock = fault_of("clock", {"offset_ms": -3_600_000, "broker": leader})
        clock.inject(patient)
        assert right - producer.send("stamped", b"x").result(10).timestamp > 3_500_000
        clock.heal(patient)
        assert producer.send("stamped", b"x").result(10).timestamp >= right


def test_a_full_disk_takes_its_replicas_offline_until_its_broker_is_restarted(
    cluster: Cluster, patient: Patient
) -> None:
    before, leader = cluster.events(), patient.leader(TOPIC, 0)
    suffer(patient, "disk-full", for_s=1.0, broker=leader, path=f"{TOPIC}-0")
    offline = since(cluster, before, "replica-offline")
    assert [(event.broker, event.subject) for event in offline] == [(leader, f"{TOPIC}-0")]
    assert "No space left" in offline[0].details["reason"]
    patient.wait_until_healthy()


def test_a_slow_disk_is_slow(patient: Patient) -> None:
    leader = patient.leader(TOPIC, 0)
    outcome = suffer(patient, "slow-disk", for_s=1.0, broker=leader, write_ms=60)
    assert outcome.without_writes_ms > 50


@pytest.mark.parametrize("name", ["torn-tail", "bit-flip"])
def test_a_damaged_tail_is_cut_and_fetched_again(cluster: Cluster, patient: Patient, name: str) -> None:
    before = cluster.events()
    follower = next(broker for broker in (1, 2, 3) if broker != patient.leader(TOPIC, 0))
    suffer(patient, name, of=f"{TOPIC}/0", broker=follower)
    cut = since(cluster, before, "tail-cut")
    assert [(event.broker, event.subject) for event in cut] == [(follower, f"{TOPIC}-0")]
    assert chain_of(cluster, cut[0])[-3:] == ["broker-down", "broker-started", "tail-cut"]
    patient.wait_until_healthy()


def test_a_log_that_lost_its_end_is_filled_up(cluster: Cluster, patient: Patient) -> None:
    before, leader = cluster.events(), patient.leader(TOPIC, 0)
    suffer(patient, "truncate", of=f"{TOPIC}/0", broker=leader)
    patient.wait_until_healthy()
    (damaged,) = since(cluster, before, "damaged")
    assert damaged.subject == f"{TOPIC}-0" and damaged.details["by"].startswith("cut the last ")


def test_a_rolling_restart_gives_every_broker_a_new_life(patient: Patient) -> None:
    lives = {broker: patient.incarnation(broker) for broker in (1, 2, 3)}
    suffer(patient, "rolling-restart")
    assert all(patient.incarnation(broker) == life + 1 for broker, life in lives.items())


def test_a_crashed_actor_runs_again_in_the_same_process(cluster: Cluster, patient: Patient) -> None:
    before, leader = cluster.events(), patient.leader(TOPIC, 0)
    life = patient.incarnation(leader)
    suffer(patient, "actor-crash", prefix=f"/replica/{TOPIC}/0", broker=leader, count=3)
    wait_until(lambda: not patient.insight(leader).down, what="the actor to run again")
    crashes = since(cluster, before, "actor-crashed")
    assert len(crashes) == 3 and all(event.broker == leader for event in crashes)
    assert chain_of(cluster, crashes[0]) == ["fault", "actor-crashed"]
    assert patient.incarnation(leader) == life


def test_a_request_that_fails_is_sent_again(cluster: Cluster, patient: Patient) -> None:
    request: Any = fault_of("request", {"api": "produce", "nth": 2, "count": 2, "error": "NOT_LEADER_OR_FOLLOWER"})
    request.inject(patient)
    with Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0}) as producer:
        offsets = [producer.send(TOPIC, b"x", partition=1).result(20).offset for _ in range(6)]
    request.heal(patient)
    assert offsets == list(range(offsets[0], offsets[0] + 6))
    assert request.struck and request.met == 2


def test_a_request_that_nobody_sends_strikes_nothing(patient: Patient) -> None:
    request = fault_of("request", {"api": "OffsetDelete", "error": "UNKNOWN_SERVER_ERROR"})
    request.inject(patient)
    request.heal(patient)
    assert not request.struck


def test_a_lost_answer_is_no_second_record(cluster: Cluster, patient: Patient) -> None:
    request: Any = fault_of("request", {"api": "produce", "count": 3, "lost_answer": True})
    request.inject(patient)
    with Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0}) as producer:
        offsets = [producer.send(TOPIC, b"x", partition=1).result(30).offset for _ in range(4)]
    request.heal(patient)
    assert offsets == list(range(offsets[0], offsets[0] + 4))
    assert request.met == 3


def test_what_cannot_be_done_is_told(patient: Patient) -> None:
    with pytest.raises(ChaosFailed, match="there is no broker 9"):
        fault_of("kill", {"whom": "broker", "of": "9"}).inject(patient)
    with pytest.raises(ChaosFailed, match="there is no broker 9"):
        fault_of("actor-crash", {"broker": 9}).inject(patient)
    with pytest.raises(ChaosFailed, match="no actor below /nobody"):
        fault_of("actor-crash", {"broker": 1, "prefix": "/nobody"}).inject(patient)


def test_no_fault_is_without_a_test() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FAULTS if f'"{name}"' not in tested] == []
    assert all(issubclass(kind, Fault) for kind in FAULTS.values())


def test_where_chaos_is_not_enabled_only_signals_reach_the_brokers() -> None:
    with Cluster(brokers=1, configs={"odradek.chaos.enabled": "false"}) as closed:
        with closing(Patient(closed.data_dir)) as patient:
            assert closed.state()["chaos_socket"] is None
            with pytest.raises(ChaosFailed, match=r"odradek\.chaos\.enabled=true"):
                fault_of("noise", {}).inject(patient)
