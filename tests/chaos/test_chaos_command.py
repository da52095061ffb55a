"""`odradek chaos` and `odradek timeline` on a cluster that somebody else started."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.timeline import Timeline, read
from model.ids import TopicPartition
from odradek import Cluster, Consumer, NewTopic, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PLAN = """
workload: queue
duration: 5s
every: 2s
for: 300ms
order: listed
faults:
  - kill: {whom: leader}
  - pause
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3) as running:
        running.admin.create_topics([NewTopic("orders", 1, 3, configs={"min.insync.replicas": "2"})])
        running.wait_isr("orders")
        yield running


def odradek(cluster: Cluster | None, *arguments: str, exit_code: int = 0, cwd: Path = ROOT) -> str:
    environment = {**os.environ, **({"ODRADEK_DATA_DIR": str(cluster.data_dir)} if cluster is not None else {})}
    done = subprocess.run(
        [sys.executable, str(ROOT / "odradek.py"), *arguments], env=environment, cwd=cwd, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == exit_code, done.stderr + done.stdout
    return done.stdout if exit_code == 0 else done.stderr


def test_a_killed_leader_is_told_in_one_line(cluster: Cluster) -> None:
    said = odradek(cluster, "chaos", "kill", "leader", "orders/0")
    assert re.search(r"^new leader \d, epoch \d+, .*\d+ ms without writes, 0 acked lost\n$", said), said
    cluster.wait_until_all_run()
    cluster.wait_isr("orders")


def test_the_same_as_json(cluster: Cluster) -> None:
    found = json.loads(odradek(cluster, "chaos", "kill", "broker", "2", "--json"))
    assert found["lost"] == 0 and found["acked"] > 0 and "broker 2" in found["done"]
    cluster.wait_until_all_run()
    cluster.wait_isr("orders")


def log_end(cluster: Cluster) -> int:
    orders = TopicPartition("orders", 0)
    with Consumer({"bootstrap.servers": cluster.bootstrap}) as consumer:
        return consumer.end_offsets([orders])[orders]


def test_nothing_is_written_to_a_topic_if_it_shall_not_be(cluster: Cluster) -> None:
    before = log_end(cluster)
    said = odradek(cluster, "chaos", "kill", "leader", "orders/0", "--no-write")
    assert re.search(r"^new leader \d, epoch \d+, [^\n]*incarnation \d+\n$", said), said
    assert log_end(cluster) == before
    cluster.wait_isr("orders")


def test_the_measurements_records_can_be_told_apart(cluster: Cluster) -> None:
    orders, before = TopicPartition("orders", 0), log_end(cluster)
    odradek(cluster, "chaos", "inject", "noise", "--for", "100ms", "-t", "orders/0")
    with Consumer({"bootstrap.servers": cluster.bootstrap}) as consumer:
        consumer.assign([orders])
        consumer.seek(orders, before)
        found = wait_until(lambda: consumer.poll(200))
    assert all(("odradek-chaos", b"probe") in list(record.headers) for record in found)


def test_pauses_and_partitions_end_when_they_should(cluster: Cluster) -> None:
    assert "0 acked lost" in odradek(cluster, "chaos", "pause", "broker", "2", "--for", "200ms")
    assert "0 acked lost" in odradek(cluster, "chaos", "partition", "1", "2,3", "--for", "300ms", "-t", "orders/0")
    assert "0 acked lost" in odradek(cluster, "chaos", "inject", "noise", "loss=0.1", "-t", "orders/0")
    assert "healed" in odradek(cluster, "chaos", "heal")
    assert "0 acked lost" in odradek(cluster, "chaos", "actors", "crash", "--path", "/replica", "-t", "orders/0")


def test_after_the_healing_a_broker_whose_disk_was_full_has_its_replicas_back(cluster: Cluster) -> None:
    cluster.wait_isr("orders")
    lives = {broker: row["incarnation"] for broker, row in cluster.brokers().items()}
    odradek(cluster, "chaos", "inject", "disk-full", "broker=2", "-t", "orders/0")
    cluster.wait_isr("orders", brokers=2)
    odradek(cluster, "chaos", "heal")
    cluster.wait_isr("orders")
    restarted = {broker for broker, row in cluster.brokers().items() if row["incarnation"] > lives[broker]}
    assert restarted == {2}
    odradek(cluster, "chaos", "heal")
    assert {row["incarnation"] for broker, row in cluster.brokers().items() if broker == 2} == {lives[2] + 1}


def test_an_interrupted_partition_is_over(cluster: Cluster) -> None:
    environment = {**os.environ, "ODRADEK_DATA_DIR": str(cluster.data_dir)}
    command = [sys.executable, str(ROOT / "odradek.py"), "chaos", "partition", "1", "2,3", "--for", "600s"]
    known = {event.id for event in cluster.events()}

    def deeds() -> list[str]:
        told = [event for event in cluster.events() if event.id not in known and event.kind == "fault"]
        return [event.details["deed"] for event in told]

    with subprocess.Popen([*command, "-t", "orders/0"], env=environment, cwd=ROOT) as process:
        wait_until(lambda: deeds() == ["inject"], what="the partition")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert deeds() == ["inject", "heal"]
    cluster.wait_isr("orders")


def test_requests_are_armed(cluster: Cluster) -> None:
    said = odradek(cluster, "chaos", "request", "produce", "--nth", "5", "--error", "NOT_LEADER_OR_FOLLOWER")
    assert said == "Produce 5 of each broker: NOT_LEADER_OR_FOLLOWER\n"
    odradek(cluster, "chaos", "heal")
    said = odradek(cluster, "chaos", "request", "produce", "--error", "NOT_LEADER_OR_FOLLOWER", "-t", "orders/0")
    assert said.endswith("0 acked lost\n")


def causes_of(cluster: Cluster, kind: str, subject: str) -> list[str]:
    """The kinds of event that led to the last such one, from the first cause on."""
    timeline = Timeline(cluster.events())
    last = [event for event in timeline.by_id.values() if event.kind == kind and event.subject == subject][-1]
    return [event.kind for event in timeline.chain(last)][:-1]


def test_the_timeline_goes_back_to_what_was_done(cluster: Cluster) -> None:
    controller = wait_until(lambda: cluster.controller_id)
    odradek(cluster, "chaos", "actors", "crash", "--path", "/controller", "--broker", str(controller), "-t", "orders/0")
    wait_until(lambda: causes_of(cluster, "controller-elected", "controller") == ["fault", "actor-crashed"])
    victim = cluster.leader("orders", 0)
    full = ("disk-full", f"broker={victim}", "path=orders-0", "--for", "500ms")
    odradek(cluster, "chaos", "inject", *full, "-t", "orders/0")
    assert causes_of(cluster, "replica-offline", "orders-0") == ["fault"]
    left = [event for event in cluster.events() if event.kind == "leader-elected" and "disk" in event.details["reason"]]
    assert [event.kind for event in Timeline(cluster.events()).chain(left[-1])][:2] == ["fault", "replica-offline"]
    assert causes_of(cluster, "broker-down", f"broker {victim}") == ["fault", "signal"]
    cluster.wait_isr("orders")
    victim = cluster.leader("orders", 0)
    odradek(cluster, "chaos", "inject", "torn-tail", "of=orders/0", f"broker={victim}", "-t", "orders/0")
    cluster.wait_isr("orders")
    assert causes_of(cluster, "damaged", "orders-0") == ["fault"]
    assert causes_of(cluster, "tail-cut", "orders-0")[:3] == ["fault", "signal", "broker-down"]


def test_the_timeline_tells_what_happened_to_a_topic(cluster: Cluster) -> None:
    cluster.kill_leader("orders")
    lines = odradek(cluster, "timeline", "--topic", "orders").splitlines()
    assert any("SIGKILL to broker" in line for line in lines)
    assert any(re.search(r"    +broker \d leads orders-0 from \d+, epoch \d+", line) for line in lines)
    events = [json.loads(line) for line in odradek(cluster, "timeline", "--json").splitlines()]
    ids = {event["id"] for event in events}
    assert all(event["cause"] in ids for event in events if event.get("cause"))
    assert {"leader-elected", "isr-changed", "broker-down", "leading"} <= {event["kind"] for event in events}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("chaos kill leader", "whose leader?"),
        ("chaos kill everybody", "everybody is none of leader"),
        ("chaos kill leader misspelt/0", "there is no topic misspelt"),
        ("chaos kill leader orders/7", "orders has no partition 7"),
        ("chaos kill leader orders", "write it as orders/0"),
        ("chaos kill broker two", "two is no broker"),
        ("chaos kill all orders/0", "say whose"),
        ("chaos pause majority", "majority is none of broker, leader"),
        ("chaos pause leader", "whose leader?"),
        ("chaos partition 1 9", "there is no broker 9: there are 1, 2, 3"),
        ("chaos partition 1, 2", "two sides are 1|2,3"),
        ("chaos partition ring --one-way", "shape one-way"),
        ("chaos actors crash --path /nowhere", "no broker has an actor below /nowhere"),
        ("chaos actors crash --count 0", "count=0: must be 1 or more"),
        ("chaos inject noise loss=5", "a probability is at most 1"),
        ("chaos inject clock broker=9", "there is no broker 9"),
        ("chaos inject bit-flip of=misspelt/0", "there is no topic misspelt"),
        ("chaos inject torn-tail of=orders/0 broker=9", "there is no broker 9"),
        ("chaos request produce --nth 0 --disconnect", "nth=0: must be 1 or more"),
        ("chaos request produce --broker 9 --disconnect", "there is no broker 9"),
        ("chaos replay nowhere", "nowhere holds no plan.json"),
        ("timeline --last -3", "it is a number of events"),
        ("simulate --seed -3", "numbers from 0 on"),
        ("chaos run nowhere.yml --seed -1", "numbers from 0 on"),
        ("simulate --seeds 5-1", "5-1 are no seeds"),
        ("simulate --seed 1 --seeds 1-3", "choose one of them"),
        ("chaos pause broker 9", "there is no broker 9"),
        ("chaos inject explode", "there is no fault explode"),
        ("chaos inject noise loss", "write options as name=value"),
        ("chaos pause broker 2 --for soon", "soon is no time"),
        ("chaos request nonsense --disconnect", "there is no API nonsense"),
        ("chaos request produce", "what shall happen to the request"),
        ("chaos run nowhere.yml", "can't read nowhere.yml"),
    ],
)
def test_mistakes_are_one_line(cluster: Cluster, line: str, complaint: str) -> None:
    cannot_be_done = ("there is no broker", "there is no topic", "has no partition", "no broker has")
    code = 1 if any(words in complaint for words in cannot_be_done) else 2
    said = odradek(cluster, *line.split(), exit_code=code)
    assert complaint in said and said.count("\n") == 1, said
    assert "misspelt" not in cluster.admin.list_topics()


def test_a_folder_in_the_environment_says_which_cluster_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its start to its end, whose handovers all go back to whoever wanted it."""
    monkeypatch.setenv("ODRADEK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ODRADEK_BOOTSTRAP", raising=False)
    odradek(None, "up", "--detach", "--port", "0")
    try:
        odradek(None, "topic", "create", "orders", "-p", "3", "-r", "3")
    finally:
        odradek(None, "down")
    timeline = Timeline(read(tmp_path / "data"))
    stopped = [event for event in timeline.by_id.values() if event.kind in ("broker-down", "isr-changed")]
    assert [event.kind for event in stopped].count("broker-down") == 3
    for event in stopped:
        assert [cause.kind for cause in timeline.chain(event)][:2] == ["cluster-stops", "broker-stops"], event


def test_a_run_leaves_a_folder_that_can_be_run_again(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text(PLAN)
    first, second = tmp_path / "first", tmp_path / "second"
    said = odradek(None, "chaos", "run", str(tmp_path / "plan.yml"), "--seed", "7", "--folder", str(first))
    assert "kill+pause x queue, seed 7: 2 faults" in said and "0 anomalies" in said, said
    assert sorted(path.name for path in first.iterdir()) == [
        "events.jsonl", "faults.jsonl", "history.jsonl", "plan.json", "timeline.txt", "verdict.json", "verdict.txt",
    ]  # fmt: skip
    assert "valid" in odradek(None, "chaos", "check", str(first / "history.jsonl"))
    odradek(None, "chaos", "replay", str(first), "--folder", str(second))
    assert (second / "plan.json").read_text() == (first / "plan.json").read_text()
    told = [json.loads((folder / "faults.jsonl").read_text().splitlines()[0])["fault"] for folder in (first, second)]
    assert told == ["kill", "kill"]
    assert "SIGKILL" in (first / "timeline.txt").read_text()


def test_simulate_tells_a_seed() -> None:
    first = odradek(None, "simulate", "--seed", "3")
    assert first == odradek(None, "simulate", "--seed", "3") and len(first.splitlines()) > 100
