"""What the instances of an app know of each other. It travels with the group's subscriptions and assignments.

An instance of this machine that was killed is noticed by the others within a tenth of a second: its process is gone.
They need not wait for its session to time out.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

TaskId = tuple[int, int]
"""subtopology, partition"""


class Said(msgspec.Struct, frozen=True, array_like=True):
    """An instance about itself, when it joins. `held` tells how much of each task's state it has, in changelog records;
    `transactional_id` is that of its producer, if it has one."""

    instance: str
    endpoint: str = ""
    host: str = ""
    pid: int = 0
    started: str = ""
    transactional_id: str = ""
    held: dict[str, int] = {}

    def holding(self, held: dict[str, int]) -> Said:
        """The same instance, with that much state."""
        return msgspec.structs.replace(self, held=held)


class MemberInfo(msgspec.Struct, frozen=True, array_like=True):
    """An instance as its group's leader tells of it."""

    member_id: str
    said: Said
    active: list[TaskId] = []
    standby: list[TaskId] = []


class Dealt(msgspec.Struct, frozen=True, array_like=True):
    """What every instance is told with its own assignment. `partitions` are those of each subtopology."""

    members: list[MemberInfo] = []
    partitions: dict[int, int] = {}


def task_name(task: TaskId) -> str:
    return f"{task[0]}_{task[1]}"


def process_start(pid: int) -> str:
    """When a process of this machine began, in ticks since boot; empty when there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def is_dead(said: Said, our_host: str) -> bool:
    """Whether that instance's process has certainly ended."""
    return bool(our_host) and said.host == our_host and process_start(said.pid) != said.started


def about_us(instance: str, endpoint: str, host: str, transactional_id: str) -> Said:
    pid = os.getpid()
    return Said(instance, endpoint, host, pid, process_start(pid), transactional_id)


encode_said = msgspec.msgpack.Encoder().encode
decode_said = msgspec.msgpack.Decoder(Said).decode
encode_dealt = msgspec.msgpack.Encoder().encode
decode_dealt = msgspec.msgpack.Decoder(Dealt).decode
