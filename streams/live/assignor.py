"""Deals out tasks: a task's partitions of all its topics go to one member, and stay where they are if they can.

A task goes by preference to who has it, then to who has most of its state (a standby, or files of an earlier life).
Standby copies go to other members, the least loaded first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from clients.assignors import Assignment, Member
from model.ids import TopicPartition
from streams.live.members import (
    Dealt,
    MemberInfo,
    Said,
    TaskId,
    decode_dealt,
    decode_said,
    encode_dealt,
    encode_said,
    task_name,
)
from streams.live.topics import Subtopology


class TaskAssignor:
    """As even as can be. `about_us` says who we are when we join; `dealt` is what the leader told last."""

    name = "odradek-streams"
    is_cooperative = False

    def __init__(
        self, subs: Sequence[Subtopology], standbys: int = 0, about_us: Callable[[], Said] = lambda: Said("")
    ) -> None:
        self._sub_of = {topic: sub.id for sub in subs if not sub.is_global for topic in sub.sources}
        self._patterns: list[tuple[re.Pattern[str], int]] = [
            (pattern, sub.id) for sub in subs if not sub.is_global for pattern in sub.patterns
        ]
        self._stateful = {sub.id for sub in subs if sub.changelogs}
        self._standbys = standbys
        self._about_us = about_us
        self._told = Dealt()
        self.dealt = Dealt()

    def sub_of(self, topic: str) -> int | None:
        """The subtopology that reads a topic, by name or by pattern; None when none does."""
        found = self._sub_of.get(topic)
        if found is None:
            for pattern, sub in self._patterns:
                if pattern.fullmatch(topic):
                    found = self._sub_of[topic] = sub
                    break
        return found

    def task_of(self, place: TopicPartition) -> TaskId:
        sub = self.sub_of(place.topic)
        if sub is None:
            raise KeyError(place.topic)
        return sub, place.partition

    # -- what members say

    def user_data(self) -> bytes:
        return encode_said(self._about_us())

    def assignment_data(self) -> bytes:
        return encode_dealt(self._told)

    def on_assignment(self, data: bytes) -> None:
        self.dealt = decode_dealt(data)

    # -- dealing

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Assignment:
        places: dict[TaskId, list[TopicPartition]] = {}
        counts: dict[int, int] = {}
        for topic, count in sorted(partitions.items()):
            sub = self.sub_of(topic)
            if sub is not None:
                counts[sub] = max(counts.get(sub, 0), count)
                for partition in range(count):
                    places.setdefault((sub, partition), []).append(TopicPartition(topic, partition))
        ordered = sorted(members, key=lambda member: member.order)
        said = {member.member_id: _said(member) for member in ordered}
        active = self._deal_active(places, ordered, said)
        standby = self._deal_standbys(places, active, said)
        self._told = Dealt(
            [MemberInfo(name, said[name], sorted(active[name]), sorted(standby[name])) for name in active], counts
        )
        return {name: [place for task in its for place in places[task]] for name, its in active.items()}

    def _deal_active(
        self, places: Mapping[TaskId, list[TopicPartition]], ordered: list[Member], said: Mapping[str, Said]
    ) -> dict[str, list[TaskId]]:
        most = -(-len(places) // len(ordered)) if ordered else 0
        tasks: dict[str, list[TaskId]] = {member.member_id: [] for member in ordered}
        free = dict.fromkeys(sorted(places, key=lambda task: (task[1], task[0])))

        def take(name: str, task: TaskId) -> None:
            if task in free and len(tasks[name]) < most:
                tasks[name].append(task)
                del free[task]

        for member in ordered:
            for task in sorted({self.task_of(place) for place in member.owned if self.sub_of(place.topic) is not None}):
                take(member.member_id, task)
        for task in list(free):
            warm = [name for name in tasks if said[name].held.get(task_name(task), 0) > 0]
            for name in sorted(warm, key=lambda name: -said[name].held[task_name(task)]):
                take(name, task)
        for task in list(free):
            take(min(tasks, key=lambda name: len(tasks[name])), task)
        return tasks

    def _deal_standbys(
        self,
        places: Mapping[TaskId, list[TopicPartition]],
        active: Mapping[str, list[TaskId]],
        said: Mapping[str, Said],
    ) -> dict[str, list[TaskId]]:
        standby: dict[str, list[TaskId]] = {name: [] for name in active}
        owner = {task: name for name, its in active.items() for task in its}
        for _ in range(self._standbys):
            for task in sorted(places, key=lambda task: (task[1], task[0])):
                takers = [name for name in standby if name != owner.get(task) and task not in standby[name]]
                if task[0] in self._stateful and takers:
                    standby[
                        min(takers, key=lambda name: (len(standby[name]), -said[name].held.get(task_name(task), 0)))
                    ].append(task)
        return standby


def _said(member: Member) -> Said:
    try:
        return decode_said(member.user_data or b"")
    except msgspec.DecodeError:
        return Said("")  # an older version of us
