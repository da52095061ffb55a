"""`python -m chaos.check`, its twin `odradek chaos check`, and brokers that are wrong by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hand_made import HandMade

import chaos.wrong_broker
from chaos.check import main
from chaos.history import send
from cli.main import main as odradek

ROOT = Path(__file__).parents[3]


def written(history: HandMade, path: Path) -> str:
    history.history.write(path)
    history.history.close()
    return str(path)


def check_both(*arguments: str) -> int:
    """The exit code of both commands; they agree."""
    code = main([*arguments])
    assert odradek(["chaos", "check", *arguments]) == code
    return code


def test_a_clean_history_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(HandMade().sent(1, "t-0", (0, 10)).polled(2, "t-0", (0, 10)), tmp_path / "h.jsonl")
    assert main([path]) == 0
    assert capsys.readouterr().out.endswith("valid: no anomalies\n")


def test_anomalies_end_with_1_unless_they_are_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(HandMade().sent(1, "t-0", (0, 10)), tmp_path / "h.jsonl")
    assert check_both(path) == 1
    printed = capsys.readouterr().out
    half = printed[: len(printed) // 2]
    assert "sent 10 to t-0" in half and printed.count("sent 10 to t-0") == 2
    assert check_both(path, "--allow", "unseen") == 0
    assert check_both(path, "--examples", "0") == 1
    assert "sent 10 to t-0" not in capsys.readouterr().out


def test_what_is_normal_in_kafka_is_an_anomaly_when_asked_to_be_strict(tmp_path: Path) -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 0), send("t-1", 11, 1))
    history.did(2, "txn", send("t-0", 20, 1), send("t-1", 21, 0))
    history.polled(3, "t-0", (0, 10), (1, 20)).polled(3, "t-1", (0, 21), (1, 11))
    path = written(history, tmp_path / "h.jsonl")
    assert check_both(path) == 0
    assert check_both(path, "--strict") == 1


def test_no_history_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "h.jsonl").write_text("{}\n")
    assert check_both(str(tmp_path / "h.jsonl")) == 2
    assert capsys.readouterr().err.count("line 1") == 2
    assert check_both(str(tmp_path / "missing.jsonl")) == 2
    assert "No such file" in capsys.readouterr().err
    assert odradek(["chaos", "check", str(tmp_path / "h.jsonl"), "--allow", "nothing"]) == 2
    assert "lost-write" in capsys.readouterr().err


def test_an_empty_history_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "h.jsonl").write_text("\n")
    assert check_both(str(tmp_path / "h.jsonl")) == 2
    assert capsys.readouterr().err.count("holds no operation, which proves nothing") == 2


def test_the_same_as_json_names_each_anomaly_and_its_operations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(HandMade().sent(1, "t-0", (0, 10)).polled(2, "t-0", (1, 11)), tmp_path / "h.jsonl")
    assert odradek(["chaos", "check", path, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is False and found["anomalies"] == {"lost-write": 1, "unseen": 1}
    assert [(one["kind"], one["ops"]) for one in found["found"]] == [("lost-write", [1, 3]), ("unseen", [1, 3])]
    assert "sent 10 to t-0" in found["found"][0]["explanation"]


def test_the_options_of_a_wrong_cluster_name_a_mutant_that_there_is() -> None:
    assert chaos.wrong_broker.wrong("no-epoch-bump") == ["--broker-class", "chaos.wrong_broker:no-epoch-bump"]
    with pytest.raises(KeyError):
        chaos.wrong_broker.wrong("no-such-mistake")
    with pytest.raises(AttributeError):
        getattr(chaos.wrong_broker, "no-such-mistake")


def test_a_broker_process_that_looks_its_class_up_is_wrong_from_then_on() -> None:
    """In a process of its own: it can't be undone."""
    program = (
        "from machines.leader import LeaderMachine; before = LeaderMachine._on_await\n"
        "import chaos.wrong_broker as wrong; first = getattr(wrong, 'ack-before-the-isr')\n"
        "from actors.broker import Broker; assert first is Broker is getattr(wrong, 'ack-before-the-isr')\n"
        "assert LeaderMachine._on_await is not before"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)
