"""One run of a plan: a cluster, a workload, faults by the seed, the end of all faults, the verdict; in one folder.

    plan.json       plan and seed, for `odradek chaos replay`
    history.jsonl   what the clients did and saw
    faults.jsonl    what was done when, and how long the cluster took to be whole again
    events.jsonl    the cluster's own events;  timeline.txt: the same for people
    verdict.json    anomalies, numbers;  verdict.txt: the same for people
    data/           the brokers' files and logs, kept only when something went wrong
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException

from chaos.check import Judgement, judge
from chaos.faults.fault import heal_patiently
from chaos.history import History, HistoryInvalid
from chaos.patient import ChaosFailed, Patient
from chaos.plan import Plan, PlannedFault
from model.errors import ConfigError, OdradekError
from testing.cluster import Cluster
from testing.processes import is_supervisor, read_state
from testing.waiting import ClusterFailed, wait_until

if TYPE_CHECKING:
    from chaos.workloads import Workload

HEALTHY_S = 30.0
DRAIN_S = 20.0
QUIET_S = 0.5
SESSION_MS = 2_000
"""Of group members, less than `every` mostly is: each new coordinator begins to count anew, as Kafka's do, so a member
that is gone would hold up its group for as long as coordinators go."""
PLAN_FILE = "plan.json"
HISTORY_FILE = "history.jsonl"
_TOLD = (HISTORY_FILE, "faults.jsonl", "events.jsonl", "timeline.txt", "verdict.json", "verdict.txt")
NOT_JUDGED = "not judged"


@dataclass(slots=True)
class Done:
    """One fault as it was done. Seconds since the run's begin; `healthy_after_s` None: not within HEALTHY_S.

    `refused` says why it was not done, or that it struck nothing.
    """

    at_s: float
    fault: str
    done: str
    healthy_after_s: float | None = None
    refused: str = ""


@dataclass(slots=True)
class Result:
    """`trouble` is what went wrong besides anomalies: it did not heal, a client gave up."""

    plan: Plan
    verdict: Judgement
    faults: list[Done] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    ran_s: float = 0.0
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        return self.verdict.is_valid and not self.trouble

    @property
    def was_done(self) -> list[Done]:
        return [done for done in self.faults if not done.refused]

    @property
    def ops_per_s(self) -> float:
        return self.stats.get("ops", 0) / self.ran_s if self.ran_s else 0.0

    def line(self) -> str:
        names = dict.fromkeys(fault.name for fault in self.plan.faults)
        none = NOT_JUDGED if self.verdict.text == NOT_JUDGED else "0 anomalies"
        anomalies = ", ".join(f"{count} {kind}" for kind, count in self.verdict.anomalies.items()) or none
        refusals = len(self.faults) - len(self.was_done)
        refused = f" ({refusals} could not be done)" if refusals else ""
        trouble = f", TROUBLE: {self.trouble}" if self.trouble else ""
        return (
            f"{'+'.join(names)} x {self.plan.workload}, seed {self.plan.seed}: {len(self.was_done)} faults{refused} in "
            f"{self.ran_s:.0f} s, {self.ops_per_s:.0f} ops/s, "
            f"longest stall {self.stats.get('longest_stall_ms', 0)} ms, {anomalies}{trouble}"
        )

    def plain(self) -> dict[str, Any]:
        return {
            "text": self.line(), "good": self.is_good, "verdict": self.verdict.plain(), "trouble": self.trouble,
            "ran_s": round(self.ran_s, 1), "ops_per_s": round(self.ops_per_s), "stats": self.stats,
            "faults": [asdict(done) for done in self.faults], "plan": json.loads(self.plan.to_json()),
        }  # fmt: skip


def run_plan(plan: Plan, folder: Path, *, say: Callable[[str], None] = lambda _: None) -> Result:
    """What goes wrong is told by the result. Raises ConfigError for a folder that holds something else."""
    _take(folder)
    (folder / PLAN_FILE).write_text(plan.to_json() + "\n")
    options = ["--restarts-per-minute", "1000"]
    configs = {**cluster_configs(plan.brokers), **plan.configs}
    cluster = Cluster(plan.brokers, data_dir=folder / "data", configs=configs, options=options)
    result = Result(plan, Judgement(False, {}, NOT_JUDGED))
    try:
        cluster.start()
        _live(plan, cluster, folder, result, say)
    except (ClusterFailed, OdradekError, KafkaException, OSError) as failure:
        result.trouble = result.trouble or str(failure)[:1000]
    finally:
        cluster.stop()
    _judge(folder, result)
    result.trouble = result.trouble or _proves_nothing(result)
    _write(folder, result)
    if result.is_good:
        shutil.rmtree(folder / "data", ignore_errors=True)
        cluster.log_path.unlink(missing_ok=True)
    return result


def cluster_configs(brokers: int) -> dict[str, str]:
    """Everything on three brokers and acknowledged by two, or as many as there are."""
    replicas, in_sync = str(min(3, brokers)), str(min(2, brokers))
    return {
        # few partitions of the internal topics: a kill moves what is used, and a start opens no 100 empty logs
        "offsets.topic.num.partitions": "6",
        "transaction.state.log.num.partitions": "6",
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "min.insync.replicas": in_sync,
        "default.replication.factor": replicas,
        "group.min.session.timeout.ms": str(SESSION_MS),
    }


def _judge(folder: Path, result: Result) -> None:
    """What clients saw counts, also when the run ended early: just then something may have been lost."""
    history = folder / HISTORY_FILE
    try:
        if history.exists():
            result.verdict = judge(history, may_be_empty=True)
    except HistoryInvalid as mistake:
        result.trouble = result.trouble or str(mistake)


def _proves_nothing(result: Result) -> str:
    """Why a run without anomalies would be no proof; "" when it is one."""
    stats, seen = result.stats, result.verdict.stats
    if not result.was_done:
        return f"no fault was done: {result.faults[0].refused if result.faults else 'it was too short'}"
    if not stats.get("acked"):
        return f"nothing was acknowledged: {_errors(stats) or 'clients were told no error'}"
    if seen.get("acked", 0) < stats["acked"]:
        return f"the history tells of {seen.get('acked', 0)} acknowledged messages, the clients of {stats['acked']}"
    if strangers := seen.get("strangers", 0):
        return f"{strangers} messages were polled that nobody had sent there"
    return ""


def _take(folder: Path) -> None:
    """What an earlier run left in it goes: its verdict is none of this run's, however this one ends."""
    folder.mkdir(parents=True, exist_ok=True)
    supervisor = read_state(folder / "data").get("supervisor_pid") or 0
    if is_supervisor(supervisor, folder / "data"):
        raise ConfigError(f"{folder} is in use: a run goes on in it (supervisor pid {supervisor})")
    if (folder / PLAN_FILE).exists():
        shutil.rmtree(folder / "data", ignore_errors=True)
        for name in _TOLD:
            (folder / name).unlink(missing_ok=True)
    elif any(folder.iterdir()):
        raise ConfigError(f"{folder} holds other files and no {PLAN_FILE}: choose an empty or new folder")


def fresh_folder(plan: Plan) -> Path:
    """`chaos-runs/…` below the current directory, named by time, workload and seed; made here, and nobody else's."""
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{plan.workload}-{plan.seed}"
    for number in itertools.count(1):
        folder = Path("chaos-runs") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:  # of another run that began in the same second
            continue
    return folder


def _live(plan: Plan, cluster: Cluster, folder: Path, result: Result, say: Callable[[str], None]) -> None:
    from chaos.workloads import WORKLOADS, WorkloadFailed

    history = History()
    history.write(folder / HISTORY_FILE)
    workload = WORKLOADS[plan.workload](cluster.bootstrap, history, seed=plan.seed, rate=plan.rate)
    workload.session_ms = SESSION_MS
    patient = Patient(cluster.data_dir, topics=list(workload.topics), seed=plan.seed, revive=cluster.start)
    drain_s = DRAIN_S
    try:
        began_s = time.monotonic()
        workload.start()
        try:
            _break(plan, patient, workload, began_s, result, say)
        except KeyboardInterrupt:
            drain_s = 0.0
            raise
        finally:
            result.ran_s = time.monotonic() - began_s
            try:
                workload.stop(drain_s)
            except WorkloadFailed as failure:
                result.trouble = result.trouble or str(failure)
            result.stats = workload.stats()
    finally:
        patient.close()
        history.close()


def _break(
    plan: Plan, patient: Patient, workload: Workload, began_s: float, result: Result, say: Callable[[str], None]
) -> None:
    """Faults until the time is up. After each the cluster has to become whole, and clients have to get on."""
    ends_s = began_s + plan.duration_s
    next_s = began_s + min(plan.every_s, plan.duration_s / 4)
    for planned in _choices(plan):
        if next_s >= ends_s - QUIET_S:
            break
        time.sleep(max(0.0, next_s - time.monotonic()))
        done = Done(round(time.monotonic() - began_s, 3), planned.name, "")
        result.faults.append(done)
        _one(done, planned, plan, patient)
        say(f"{done.at_s:6.1f} s  {done.refused or done.done}")
        # also when it was refused: half of it may have been done
        if done.healthy_after_s is None:
            raise ClusterFailed(f"not whole again {HEALTHY_S:g} s after: {done.done or done.refused}")
        _wait_for_acks(workload, f"writes to go on after: {done.done or done.refused}")
        next_s = max(next_s + plan.every_s, time.monotonic())
    time.sleep(max(0.0, ends_s - time.monotonic()))


def _wait_for_acks(workload: Workload, what: str) -> None:
    """Whole is not yet well: a cluster that acknowledges nothing any more loses nothing either."""
    goal = workload.ledger.acks + 1
    try:
        wait_until(lambda: workload.ledger.acks >= goal, timeout_s=HEALTHY_S, what=what, every_s=0.005)
    except ClusterFailed as failure:
        told = _errors(workload.stats())
        raise ClusterFailed(f"{failure}{f'; clients were told {told}' if told else ''}") from None


def _errors(stats: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in stats.get("errors", {}).items())


def _one(done: Done, planned: PlannedFault, plan: Plan, patient: Patient) -> None:
    fault = planned.make()
    try:
        done.done = fault.inject(patient)
    except ChaosFailed as refusal:
        done.refused = str(refusal)
    if fault.lasts and not done.refused:
        time.sleep(plan.for_s if planned.for_s is None else planned.for_s)
    healed_s = time.monotonic()
    heal_patiently(fault, patient)
    if not fault.struck and not done.refused:
        done.refused = f"struck nothing: {done.done}"
    try:
        patient.wait_until_healthy(HEALTHY_S)
        done.healthy_after_s = round(time.monotonic() - healed_s, 3)
    except ClusterFailed:
        pass


def _choices(plan: Plan) -> Iterator[PlannedFault]:
    if plan.order == "listed":
        return itertools.cycle(plan.faults)
    chooser = random.Random(f"{plan.seed}/plan")
    return (chooser.choice(plan.faults) for _ in itertools.count())


def _write(folder: Path, result: Result) -> None:
    from chaos.timeline import Timeline, lines, plain, read_files

    timeline = Timeline(read_files(folder / "data"))
    with open(folder / "events.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(plain(event)) + "\n" for event in timeline.events)
    (folder / "timeline.txt").write_text("\n".join(lines(timeline, timeline.events)) + "\n")
    with open(folder / "faults.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(done)) + "\n" for done in result.faults)
    (folder / "verdict.json").write_text(json.dumps(result.plain(), indent=2) + "\n")
    (folder / "verdict.txt").write_text(f"{result.line()}\n{result.verdict.text}\n")
