from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.faults import FAULTS
from chaos.faults.kill import Kill
from chaos.matrix import QUICK, all_cells
from chaos.matrix import plan_of as cell_plan
from chaos.plan import Plan, PlannedFault, fault_of, plan_of, read_plan, seconds
from model.errors import ConfigError

YAML = """
workload: auto-commit
duration: 20s
every: 3
for: 500ms
seed: 7
configs: {min.insync.replicas: 2, auto.create.topics.enable: false}
faults:
  - kill: {whom: leader}
  - partition: {shape: ring}
    for: 1s
  - rolling-restart
"""
READ = Plan(
    (
        PlannedFault("kill", {"whom": "leader"}),
        PlannedFault("partition", {"shape": "ring"}, 1.0),
        PlannedFault("rolling-restart"),
    ),
    "auto_commit",
    duration_s=20.0,
    every_s=3.0,
    for_s=0.5,
    seed=7,
    configs={"min.insync.replicas": "2", "auto.create.topics.enable": "false"},
)
TOML = """
workload = "auto_commit"
duration = "20s"
every = 3
for = 0.5
seed = 7
faults = [{kill = {whom = "leader"}}, {partition = {shape = "ring"}, for = 1}, "rolling-restart"]
[configs]
"min.insync.replicas" = 2
"auto.create.topics.enable" = false
"""


@pytest.mark.parametrize(("name", "text"), [("p.yml", YAML), ("p.toml", TOML), ("p.json", READ.to_json())])
def test_a_plan_is_the_same_in_every_language(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_plan(tmp_path / name) == READ


def test_what_a_run_leaves_starts_the_same_run_again() -> None:
    assert plan_of(json.loads(READ.with_changes({"seed": 9, "order": "listed"}).to_json())) == READ.with_changes(
        {"seed": 9, "order": "listed"}
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("faults: []", "name at least one"),
        ("faults: [explode]", "there is no fault explode: there are kill"),
        ("faults: [{kill: {who: leader}}]", "kill has no option who: it has whom, of"),
        ("faults: [{noise: {loss: much}}]", "noise: loss=much: must be of the kind of 0.05"),
        ("faults: [{kill: {}, pause: {}}]", "one fault an entry, not kill, pause"),
        ("faults: [kill]\nworkload: nothing", "nothing is none of queue"),
        ("faults: [kill]\nspeed: 3", "unknown: speed"),
        ("faults: [kill]\nduration: long", "long is no time"),
        ("faults: [kill]\nbrokers: 0", "brokers: 0 must be a whole number from 1 on"),
        ("faults: [kill]\norder: none", "none of random, listed"),
        ("faults: [kill]\nduration: 0", "duration: must be longer than nothing"),
        ("faults: [kill]\nevery: 0s", "every: must be longer than nothing"),
        ("faults: [kill]\nconfigs: [a]", "configs: write names and values"),
        ("faults: [kill]\nconfigs: {nonsense: 3}", "unknown config 'nonsense'"),
        ("faults: [kill: {whom: broker, of: x}]", "x is no broker"),
        ("faults: [noise: {loss: 3}]", "a probability is at most 1"),
        ("faults: [", "can't be read"),
        ("- kill", "a plan is a mapping"),
    ],
)
def test_mistakes_are_told_with_the_file(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "p.yml").write_text(text)
    with pytest.raises(ConfigError, match=r"p\.yml") as told:
        read_plan(tmp_path / "p.yml")
    assert complaint in str(told.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("workload: queue\nfaults:\n  - kill\n  - explode\n", 4),
        ("workload: queue\nfaults:\n  - kill:\n      whom: leader\n      who: 3\n", 5),
        ("faults:\n  - noise: {loss: much}\n", 2),
        ("faults:\n  # kill the leadr\n  - kill: {whom: leadr}\n", 3),
        ("faults: [kill]\nspeed: 3\n", 2),
        ("faults: [kill]\n\nduration: long\n", 3),
        ("faults: [kill]\nworkload: que\n", 2),
        ("faults: [kill]\nconfigs:\n  min.insync.replicas: 2\n  nonsense: 1\n", 4),
        ('{"workload": "queue",\n "faults": ["kill",\n  {"pause": {"brokr": 1}}]}', 3),
    ],
)
def test_mistakes_are_told_with_the_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / ("p.json" if text.startswith("{") else "p.yml")
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"p\.(yml|json), line {line}: "):
        read_plan(path)


def test_text_that_is_no_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text("faults:\n  - kill: {whom: leader\n  - pause\n")
    with pytest.raises(ConfigError, match=r"p\.yml: can't be read: line 4, column 1: expected"):
        read_plan(tmp_path / "p.yml")
    (tmp_path / "p.yml").write_bytes(b"\x80\x81")
    with pytest.raises(ConfigError, match="is no text"):
        read_plan(tmp_path / "p.yml")


def test_a_plan_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="can't read"):
        read_plan(Path("/nowhere/p.yml"))


def test_options_may_be_written_out_as_text() -> None:
    fault = fault_of("kill", {"whom": "broker", "of": "2"})
    assert isinstance(fault, Kill) and (fault.whom, fault.of) == ("broker", "2")
    assert fault_of("partition", {"one_way": "yes", "sides": "1|2"}).one_way  # type: ignore[attr-defined]


def test_times() -> None:
    assert [seconds(each) for each in (2, 1.5, "3s", "500ms", "2m", "0.5h", "7")] == [2, 1.5, 3, 0.5, 120, 1800, 7]


def test_the_matrix_has_thirteen_faults_and_five_workloads_and_a_seed_for_each() -> None:
    cells = all_cells()
    assert len(FAULTS) == 13 and len(cells) == 65
    assert len({cell_plan(cell, seed=1, seconds=60).seed for cell in cells}) == 65
    assert cell_plan(("kill", "queue"), seed=1, seconds=60) == cell_plan(("kill", "queue"), seed=1, seconds=60)
    assert set(QUICK) <= set(cells) and len(QUICK) == 8
    assert all({each.name for each in cell_plan(cell, seed=1, seconds=60).faults} == {cell[0]} for cell in cells)


def test_pauses_and_partitions_last_shortly_and_long_enough_to_be_noticed() -> None:
    pauses = [fault.for_s or 1.5 for fault in cell_plan(("pause", "queue"), seed=1, seconds=60).faults]
    assert min(pauses) < 0.8 < max(pauses)
    plan = cell_plan(("partition", "queue"), seed=1, seconds=60)
    session_s = int(plan.configs["broker.session.timeout.ms"]) / 1000
    lengths = [fault.for_s or plan.for_s for fault in plan.faults]
    assert min(lengths) < session_s and session_s + 1 < max(lengths), "the controller looks once a second"


@pytest.mark.parametrize("given", [-1, -0.5, float("nan"), float("inf"), 1e12, "999999999h", True, None])
@pytest.mark.parametrize("name", ["for", "every", "duration"])
def test_times_that_nobody_can_wait_for_are_refused(name: str, given: object) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .* is no time"):
        plan_of({"faults": ["kill"], name: given})


@pytest.mark.parametrize("name", [1, True, None, 2.5])
def test_a_fault_is_named_by_a_text(name: object) -> None:
    with pytest.raises(ConfigError, match=f"there is no fault {name}"):
        plan_of({"faults": [{name: {}}]})
