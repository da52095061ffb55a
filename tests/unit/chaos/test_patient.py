"""Whom chaos takes for its victim."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import chaos.faults.kill as kill_module
from chaos.faults.kill import Kill
from chaos.patient import ChaosFailed, Patient
from cli.main import main


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that has nothing to do with any cluster."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.poll() is None, "it was killed for somebody else's number"
        process.kill()


def a_folder(path: Path, supervisor: int) -> Path:
    row = {"id": 1, "pid": supervisor, "incarnation": 1, "state": "running", "port": 1}
    document = {"supervisor_pid": supervisor, "brokers": [row], "bootstrap": "127.0.0.1:1", "chaos_socket": None}
    (path / "cluster.json").write_text(json.dumps(document))
    (path / ".lock").touch()
    return path


def test_a_number_that_was_given_anew_is_no_supervisor(tmp_path: Path, stranger: int) -> None:
    folder = a_folder(tmp_path, stranger)
    with closing(Patient(folder)) as patient:
        for whom in ("supervisor", "all", "broker"):
            with pytest.raises(ChaosFailed, match="is not running"):
                Kill(whom).inject(patient)


def test_nor_is_it_stopped(tmp_path: Path, stranger: int, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_folder(tmp_path, stranger)
    assert main(["down", "--data-dir", str(folder)]) == 1
    assert "is not running" in capsys.readouterr().err


def test_who_holds_the_folders_lock_is_its_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = a_folder(tmp_path, os.getpid())
    struck: list[int] = []
    with open(folder / ".lock") as lock, closing(Patient(folder)) as patient:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert patient.brokers() == [1]
        monkeypatch.setattr(kill_module.os, "kill", lambda pid, _: struck.append(pid))
        Kill("broker").inject(patient)
    assert struck == [os.getpid()]
