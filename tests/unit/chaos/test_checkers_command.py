"""`python -m chaos.check`, and brokers that are wrong by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hand_made import HandMade

import chaos.wrong_broker
from chaos.check import main

ROOT = Path(__file__).parents[3]


def written(history: HandMade, path: Path) -> str:
    history.history.write(path)
    history.history.close()
    return str(path)


def test_a_clean_history_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(HandMade().sent(1, "t-0", (0, 10)).polled(2, "t-0", (0, 10)), tmp_path / "h.jsonl")
    assert main([path]) == 0
    assert capsys.readouterr().out.endswith("valid: no anomalies\n")


def test_anomalies_end_with_1_unless_they_are_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(HandMade().sent(1, "t-0", (0, 10)), tmp_path / "h.jsonl")
    assert main([path]) == 1
    assert "sent 10 to t-0" in capsys.readouterr().out
    assert main([path, "--allow", "unseen"]) == 0


def test_no_history_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "h.jsonl").write_text("{}\n")
    assert main([str(tmp_path / "h.jsonl")]) == 2
    assert "line 1" in capsys.readouterr().err
    assert main([str(tmp_path / "missing.jsonl")]) == 2


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
