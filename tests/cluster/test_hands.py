"""What `Cluster` can do to its brokers, and what it tells of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from odradek import Admin, Cluster, ClusterFailed, Consumer, NewTopic, Producer, wait_until
from testing.processes import is_alive

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hurt() -> Iterator[Cluster]:
    """Every test leaves it healed."""
    with Cluster(brokers=3, configs={"offsets.topic.replication.factor": "3"}) as cluster:
        cluster.admin.create_topics([NewTopic("orders", 3, 3)])
        yield cluster


@pytest.fixture(autouse=True)
def healed(hurt: Cluster) -> None:
    hurt.wait_until_all_run()
    hurt.wait_isr("orders")


def test_a_killed_leader_is_replaced_by_another_broker(hurt: Cluster) -> None:
    victim = hurt.leader("orders", 1)
    healed = hurt.kill_leader("orders", 1)
    assert healed.broker == victim != healed.healed_by == hurt.leader("orders", 1)
    assert healed.healed_at > healed.killed_at
    assert f"broker {victim} went, healed by broker {healed.healed_by}" in str(healed)


def test_a_killed_controller_is_replaced(hurt: Cluster) -> None:
    healed = hurt.kill_controller()
    assert healed.healed_by == hurt.controller_id != healed.broker


def test_a_killed_coordinator_is_replaced_and_the_group_goes_on(hurt: Cluster) -> None:
    config = {"bootstrap.servers": hurt.bootstrap, "group.id": "g", "auto.offset.reset": "earliest"}
    with Consumer(config) as consumer:
        consumer.subscribe(["orders"])
        wait_until(lambda: consumer.poll(50) or consumer.assignment())
        assert list(hurt.wait_assigned("g", members=1).values()) == [3]
        healed = hurt.kill_coordinator("g")
        assert healed.healed_by == hurt.coordinator("g")
        with Producer({"bootstrap.servers": hurt.bootstrap}) as producer:
            producer.send("orders", b"after").result(30)
        found = wait_until(lambda: consumer.poll(200))
        assert [record.value for record in found] == [b"after"]


def test_a_broker_paused_for_a_moment_is_the_same_one_afterwards(hurt: Cluster) -> None:
    pid = hurt.pause(2)
    assert hurt.resume(2) and hurt.pids()[2] == pid


def test_a_broker_paused_for_long_is_replaced(hurt: Cluster) -> None:
    pid = hurt.pause(2)
    wait_until(lambda: hurt.pids().get(2, pid) != pid, what="the paused broker to be replaced")
    assert not hurt.resume(2)


def test_a_restarted_broker_comes_back_as_its_next_incarnation(hurt: Cluster) -> None:
    before = hurt.brokers()[3]["incarnation"]
    healed = hurt.restart(3)
    assert healed.healed_by == 3 and hurt.brokers()[3]["incarnation"] > before


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_of_either_protocol_is_awaited(hurt: Cluster, protocol: str) -> None:
    config = {"bootstrap.servers": hurt.bootstrap, "group.id": f"awaited-{protocol}", "group.protocol": protocol}
    with Consumer(config) as consumer:
        consumer.subscribe(["orders"])
        wait_until(lambda: consumer.poll(50) or len(consumer.assignment()) == 3)
        assert list(hurt.wait_assigned(f"awaited-{protocol}", members=1).values()) == [3]


def test_brokers_in_processes_of_their_own_tell_of_their_actors(hurt: Cluster) -> None:
    found = hurt.statistics()
    assert {path.split(":")[0] for path in found} == {"1", "2", "3"}
    leading = [path for path in found if path.startswith(f"{hurt.leader('orders', 0)}:/replica/orders/0/")]
    assert len(leading) == 1 and found[leading[0]].is_running and found[leading[0]].handled > 0


def test_a_broker_that_hangs_does_not_keep_the_others_from_telling(hurt: Cluster) -> None:
    hurt.pause(2)
    assert {path.split(":")[0] for path in hurt.statistics()} == {"1", "3"}
    hurt.resume(2)


def test_what_does_not_come_is_reported(hurt: Cluster) -> None:
    with pytest.raises(ClusterFailed, match=r"in vain for orders-0's ISR to be \{9\}"):
        hurt.wait_isr("orders", 0, {9}, timeout_s=0.1)


def test_the_cluster_ends_with_its_owner_however_that_ends(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from odradek import Cluster\n"
        "import threading, time\n"
        "c = Cluster(brokers=2, data_dir=sys.argv[2])\n"
        # from a thread that ends before the process does
        "t = threading.Thread(target=c.start); t.start(); t.join()\n"
        "print(c.bootstrap, c.supervisor_pid, *c.pids().values(), flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(ROOT), str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        bootstrap, *numbers = owner.stdout.readline().split()
        pids = [int(pid) for pid in numbers]
        assert len(pids) == 3
        with Admin(bootstrap_servers=bootstrap) as admin:  # it goes on working although its thread has ended
            admin.create_topics([NewTopic("outlives", 3, 2)])
        with Producer(bootstrap_servers=bootstrap, acks="all") as producer:
            for delivery in [producer.send("outlives", b"x") for _ in range(100)]:
                delivery.result(30)
        assert all(map(is_alive, pids))
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), timeout_s=5, what="the orphans to end")


class TestInProcess:
    def test_it_has_the_same_hands(self) -> None:
        with Cluster(brokers=1, in_process=True) as cluster:
            cluster.admin.create_topics([NewTopic("t", 2, 1)])
            assert cluster.wait_isr("t", brokers=1) == {1}
            with Producer({"bootstrap.servers": cluster.bootstrap}) as producer:
                producer.send("t", b"before", partition=0).result(10)
                healed = cluster.kill_leader("t", 0)
                assert (healed.broker, healed.healed_by) == (1, 1)
                assert producer.send("t", b"after", partition=0).result(10).offset == 1
                assert cluster.kill_controller().healed_by == cluster.controller_id == 1
                cluster.restart(1)
                assert producer.send("t", b"later", partition=0).result(10).offset == 2
            assert cluster.brokers()[1]["restarts"] == 3 and cluster.pids() == {1: os.getpid()}
            assert "broker 1 is up again" in cluster.output()
            assert any(path.startswith("/replica/t/0/") for path in cluster.statistics())

    def test_a_pause_holds_up_clients_until_it_ends(self) -> None:
        with Cluster(brokers=1, in_process=True) as cluster:
            cluster.admin.create_topics([NewTopic("t", 1, 1)])
            with Producer({"bootstrap.servers": cluster.bootstrap}) as producer:
                producer.send("t", b"1").result(10)
                cluster.pause(1)
                late = producer.send("t", b"2")
                producer.flush(0.2)
                assert not late.done()
                assert cluster.resume(1)
                assert late.result(10).offset == 1

    def test_zeromq_clients_find_it(self) -> None:
        with Cluster(brokers=1, in_process=True) as cluster:
            cluster.admin.create_topics([NewTopic("t", 1, 1)])
            with Producer({"bootstrap.servers": f"zmq://{cluster.data_dir}"}) as producer:
                assert producer.send("t", b"x").result(10).offset == 0

    def test_its_folder_can_be_kept_and_taken_up_again(self, tmp_path: Path) -> None:
        for expected in range(2):
            with Cluster(brokers=1, in_process=True, data_dir=tmp_path / "data") as cluster:
                with Producer({"bootstrap.servers": cluster.bootstrap}) as producer:
                    if not expected:
                        cluster.admin.create_topics([NewTopic("t", 1, 1)])
                    assert producer.send("t", b"x").result(10).offset == expected
            assert not cluster.is_running

    def test_its_mistakes_are_told(self) -> None:
        from model.errors import ConfigError

        with pytest.raises(ValueError, match="runs 1 broker"):
            Cluster(brokers=2, in_process=True)
        with pytest.raises(ConfigError, match="nonsense"):
            Cluster(brokers=1, in_process=True, configs={"nonsense": "1"}).start()
        with Cluster(brokers=1, in_process=True) as cluster, pytest.raises(ClusterFailed, match="takes no signals"):
            cluster.signal(1, signal.SIGSTOP)
