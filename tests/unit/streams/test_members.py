"""What instances tell each other, and how one sees that another has died."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from streams.live.members import Said, about_us, decode_said, encode_said, is_dead, process_start
from streams.live.watch import ClientId, short

HOST = "boot/pid:[1]"


def test_what_is_said_arrives() -> None:
    said = Said("i", "tcp://x:1", HOST, 5, "77", "app-i", {"0_1": 9})
    assert decode_said(encode_said(said)) == said
    assert ClientId.read(str(ClientId.of(said))) == ClientId("i", 5, "77", short(HOST))


def test_names_with_dots_survive_in_the_client_id() -> None:
    said = Said("my.app.1", host=HOST, pid=5, started="77")
    assert ClientId.read(str(ClientId.of(said))) == ClientId("my.app.1", 5, "77", short(HOST))
    assert ClientId.read("somebody else's") is None


@pytest.mark.skipif(not process_start(os.getpid()), reason="no /proc")
def test_a_process_is_dead_once_it_has_ended_even_if_nobody_has_reaped_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    said = Said("i", host=HOST, pid=child.pid, started=process_start(child.pid))
    assert not is_dead(said, HOST)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not reaped
    assert is_dead(said, HOST)
    child.wait()
    assert is_dead(said, HOST)


def test_processes_of_other_machines_are_not_judged() -> None:
    said = Said("i", host="another", pid=1 << 30, started="1")
    assert not is_dead(said, HOST)
    assert not is_dead(said, "")
    assert not is_dead(about_us("i", "", HOST, ""), HOST)
