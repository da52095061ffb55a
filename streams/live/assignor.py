"""Deals out tasks: a task's partitions of all its topics go to one member, and stay where they are if they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clients.assignors import Assignment, Member
from model.ids import TopicPartition
from streams.live.topics import Subtopology

TaskId = tuple[int, int]


class TaskAssignor:
    """As even as can be; within that, a member keeps the tasks it had."""

    name = "odradek-streams"
    is_cooperative = False

    def __init__(self, subs: Sequence[Subtopology]) -> None:
        self._sub_of = {topic: sub.id for sub in subs if not sub.is_global for topic in sub.sources}

    def task_of(self, place: TopicPartition) -> TaskId:
        return self._sub_of[place.topic], place.partition

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Assignment:
        places: dict[TaskId, list[TopicPartition]] = {}
        for topic, count in sorted(partitions.items()):
            if topic in self._sub_of:
                for partition in range(count):
                    places.setdefault((self._sub_of[topic], partition), []).append(TopicPartition(topic, partition))
        ordered = sorted(members, key=lambda member: member.order)
        most = -(-len(places) // len(ordered)) if ordered else 0
        tasks: dict[str, list[TaskId]] = {member.member_id: [] for member in ordered}
        free = dict.fromkeys(sorted(places, key=lambda task: (task[1], task[0])))
        for member in ordered:
            for task in sorted({self.task_of(place) for place in member.owned if place.topic in self._sub_of}):
                if task in free and len(tasks[member.member_id]) < most:
                    tasks[member.member_id].append(task)
                    del free[task]
        for task in free:
            least = min(ordered, key=lambda member: len(tasks[member.member_id]))
            tasks[least.member_id].append(task)
        return {name: [place for task in its for place in places[task]] for name, its in tasks.items()}
