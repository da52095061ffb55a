"""What a run says of itself: good only when something was done, written, read and judged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chaos.run as module
from chaos.check import Judgement
from chaos.history import History, poll, send
from chaos.patient import ChaosFailed
from chaos.plan import Plan, PlannedFault
from chaos.run import Done, Result, cluster_configs, fresh_folder, run_plan
from chaos.workloads import Ledger
from model.errors import ConfigError, NotLeaderOrFollower
from testing.waiting import ClusterFailed

PLAN = Plan((PlannedFault("kill"),), duration_s=0.1, every_s=0.01)


class StubCluster:
    """Starts, or fails as told; `live` writes what the run's clients would."""

    def __init__(self, folder: Path, failure: BaseException | None) -> None:
        self.log_path = folder / "data.out"
        self.failure = failure
        self.was_stopped = False

    def start(self) -> None:
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        self.was_stopped = True


def a_run(
    monkeypatch: pytest.MonkeyPatch, folder: Path, live: Callable[[Result, History], None],
    failure: BaseException | None = None,
) -> Result:  # fmt: skip
    cluster = StubCluster(folder, failure)

    def stub_live(plan: Plan, _: object, where: Path, result: Result, say: object) -> None:
        with History() as history:
            history.write(where / "history.jsonl")
            live(result, history)

    monkeypatch.setattr(module, "Cluster", lambda *_, **__: cluster)
    monkeypatch.setattr(module, "_live", stub_live)
    result = run_plan(PLAN, folder)
    assert cluster.was_stopped
    assert json.loads((folder / "verdict.json").read_text())["good"] is result.is_good
    return result


def all_well(result: Result, history: History) -> None:
    result.faults.append(Done(1.0, "kill", "killed broker 1", healthy_after_s=0.1))
    history.append(1, "ok", "send", [send("t-0", 7, 0)])
    history.append(2, "ok", "poll", [poll({"t-0": [[0, 7]]})])
    result.stats = {"acked": 1, "ops": 2}


def test_a_run_in_which_something_was_done_written_and_read_is_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert a_run(monkeypatch, tmp_path / "run", all_well).is_good


def test_a_run_in_which_nothing_was_acknowledged_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def live(result: Result, history: History) -> None:
        result.faults.append(Done(1.0, "kill", "killed broker 1", healthy_after_s=0.1))
        result.stats = {"acked": 0, "ops": 0, "errors": {"MSG_SIZE_TOO_LARGE": 3}}

    result = a_run(monkeypatch, tmp_path / "run", live)
    assert not result.is_good and result.trouble == "nothing was acknowledged: MSG_SIZE_TOO_LARGE 3"


def test_a_run_without_a_fault_that_struck_proves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def live(result: Result, history: History) -> None:
        all_well(result, history)
        result.faults = [Done(1.0, "kill", "", refused="struck nothing")]

    assert a_run(monkeypatch, tmp_path / "run", live).trouble == "no fault was done: struck nothing"


def test_a_run_whose_history_lacks_what_clients_were_told_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def live(result: Result, history: History) -> None:
        all_well(result, history)
        result.stats["acked"] = 2

    assert "the history tells of 1" in a_run(monkeypatch, tmp_path / "run", live).trouble


def test_messages_that_nobody_sent_are_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def live(result: Result, history: History) -> None:
        all_well(result, history)
        history.append(2, "ok", "poll", [poll({"t-1": [[0, 7]]})])

    assert "1 messages were polled that nobody had sent" in a_run(monkeypatch, tmp_path / "run", live).trouble


@pytest.mark.parametrize("failure", [ClusterFailed("not whole"), NotLeaderOrFollower("x"), TimeoutError("too late")])
def test_a_run_that_ends_early_is_judged_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: Exception
) -> None:
    def live(result: Result, history: History) -> None:
        history.append(1, "ok", "send", [send("t-0", 7, 0)])
        history.append(1, "ok", "send", [send("t-0", 8, 1)])
        history.append(2, "ok", "poll", [poll({"t-0": [[1, 8]]})])
        raise failure

    result = a_run(monkeypatch, tmp_path / "run", live)
    assert result.verdict.anomalies == {"lost-write": 1, "unseen": 1} and str(failure) in result.trouble
    assert str(failure) in (tmp_path / "run" / "verdict.txt").read_text()


def test_what_was_not_judged_is_not_told_as_free_of_anomalies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = a_run(monkeypatch, tmp_path / "run", all_well, ClusterFailed("it did not start"))
    assert "not judged, TROUBLE: it did not start" in result.line() and "0 anomalies" not in result.line()


def test_an_earlier_runs_verdict_goes_before_the_next_one_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a_run(monkeypatch, tmp_path / "run", all_well)
    with pytest.raises(KeyboardInterrupt):
        a_run(monkeypatch, tmp_path / "run", all_well, KeyboardInterrupt())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["plan.json"]


def test_two_runs_that_begin_in_one_second_have_folders_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module.time, "strftime", lambda _: "20260101-000000")
    folders = [fresh_folder(PLAN) for _ in range(3)]
    assert [folder.name for folder in folders] == [f"20260101-000000-queue-1{end}" for end in ("", "-2", "-3")]


def test_a_folder_in_which_a_run_goes_on_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "plan.json").write_text(PLAN.to_json())
    (data / "cluster.json").write_text(json.dumps({"supervisor_pid": os.getpid()}))
    with open(data / ".lock", "w"), pytest.raises(ConfigError, match="a run goes on in it"):
        run_plan(PLAN, tmp_path)
    assert (data / "cluster.json").exists()
    assert a_run(monkeypatch, tmp_path, all_well).is_good, "it is over: nobody holds the lock"


def test_internal_topics_need_no_more_brokers_than_there_are() -> None:
    for brokers, replicas, in_sync in ((1, "1", "1"), (2, "2", "2"), (3, "3", "2"), (5, "3", "2")):
        configs = cluster_configs(brokers)
        assert configs["transaction.state.log.replication.factor"] == replicas
        assert configs["transaction.state.log.min.isr"] == configs["min.insync.replicas"] == in_sync


def test_the_gone_are_missed_before_the_next_fault_and_the_brokers_allow_it() -> None:
    assert int(cluster_configs(3)["group.min.session.timeout.ms"]) <= module.SESSION_MS < Plan(()).every_s * 1000


class StubWorkload:
    def __init__(self) -> None:
        self.ledger = Ledger()

    def stats(self) -> dict[str, Any]:
        return {"errors": {"NOT_LEADER": 3}}


class StubPatient:
    """Whole or not; a fault is what `inject` makes of it."""

    def __init__(self, *, is_whole: bool, on_healthy: Callable[[], object] = lambda: None) -> None:
        self.is_whole = is_whole
        self.on_healthy = on_healthy

    def wait_until_healthy(self, timeout_s: float) -> None:
        if not self.is_whole:
            raise ClusterFailed("not whole")
        self.on_healthy()


class StubFault:
    lasts = False
    struck = True

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal

    def inject(self, patient: object) -> str:
        if self.refusal:
            raise ChaosFailed(self.refusal)
        return "hurt it"

    def heal(self, patient: object) -> None:
        pass


def broken(monkeypatch: pytest.MonkeyPatch, fault: StubFault, patient: StubPatient, workload: StubWorkload) -> Result:
    plan: Any = Plan((PlannedFault("kill"),), duration_s=1.0, every_s=10.0)
    monkeypatch.setattr(module, "QUIET_S", 0.0)
    monkeypatch.setattr(module, "HEALTHY_S", 0.05)
    monkeypatch.setattr(PlannedFault, "make", lambda _: fault)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    result = Result(plan, Judgement(False, {}, module.NOT_JUDGED))
    module._break(plan, patient, workload, module.time.monotonic(), result, lambda _: None)  # type: ignore[arg-type]
    return result


def test_writes_have_to_go_on_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = StubWorkload()
    with pytest.raises(ClusterFailed, match="writes to go on after: hurt it; clients were told NOT_LEADER 3"):
        broken(monkeypatch, StubFault(), StubPatient(is_whole=True), workload)


def test_a_fault_that_was_done_by_half_has_to_heal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterFailed, match=r"whole again .* after: refused at the second broker"):
        broken(monkeypatch, StubFault("refused at the second broker"), StubPatient(is_whole=False), StubWorkload())


def test_a_fault_that_nobody_met_was_not_done() -> None:
    fault = StubFault()
    fault.struck = False
    planned: Any = type("Planned", (), {"make": lambda _: fault, "for_s": None})()
    done = Done(0.0, "request", "")
    module._one(done, planned, PLAN, StubPatient(is_whole=True))  # type: ignore[arg-type]
    assert done.refused == "struck nothing: hurt it" and done.healthy_after_s is not None
