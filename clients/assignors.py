"""How a classic group's leader deals out partitions.

`range`: each topic's partitions in runs, so that equally numbered partitions of several topics meet at one member.
`roundrobin`: all partitions in turn. `sticky` and `cooperative-sticky`: as even as can be, with as few moves as can be;
the cooperative one lets members keep reading what they don't lose while the group rebalances (KIP-429).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from model.errors import ConfigError
from model.ids import TopicPartition


@dataclass(slots=True)
class Member:
    """What a member wants, and what it has (only sticky assignors ask for that)."""

    member_id: str
    topics: Sequence[str]
    owned: list[TopicPartition] = field(default_factory=list)
    generation: int = -1
    instance_id: str | None = None
    rack: str | None = None
    user_data: bytes | None = None

    @property
    def order(self) -> str:
        """Static members keep their place in line when they restart."""
        return self.instance_id or self.member_id


Assignment = dict[str, list[TopicPartition]]


class Assignor(Protocol):
    """Your own: an object with these three."""

    name: str
    is_cooperative: bool

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Assignment:
        """Topic → number of partitions, and the members → what each gets. Topics that don't exist are left out."""
        ...


@runtime_checkable
class TalkingAssignor(Assignor, Protocol):
    """One whose members also tell each other things: bytes of its own travel with subscriptions and assignments."""

    def user_data(self) -> bytes:
        """What this member says when it joins: `Member.user_data` at the leader."""
        ...

    def assignment_data(self) -> bytes:
        """At the leader, right after `assign`: what every member is told with its assignment."""
        ...

    def on_assignment(self, data: bytes) -> None:
        """What the leader told. On the client's loop, before the listener hears of the partitions."""
        ...


def _interested(partitions: Mapping[str, int], members: Sequence[Member]) -> dict[str, list[Member]]:
    interested: dict[str, list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda each: each.order):
        for topic in set(member.topics) & partitions.keys():
            interested[topic].append(member)
    return interested


class RangeAssignor:
    name = "range"
    is_cooperative = False

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Assignment:
        assignment: Assignment = {member.member_id: [] for member in members}
        for topic, takers in sorted(_interested(partitions, members).items()):
            share, extra = divmod(partitions[topic], len(takers))
            start = 0
            for index, member in enumerate(takers):
                end = start + share + (index < extra)
                assignment[member.member_id] += [TopicPartition(topic, number) for number in range(start, end)]
                start = end
        return assignment


class RoundRobinAssignor:
    name = "roundrobin"
    is_cooperative = False

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Assignment:
        assignment: Assignment = {member.member_id: [] for member in members}
        line = sorted(members, key=lambda each: each.order)
        turn = 0
        for topic in sorted(_interested(partitions, members)):
            for number in range(partitions[topic]):
                while topic not in line[turn % len(line)].topics:
                    turn += 1
                assignment[line[turn % len(line)].member_id].append(TopicPartition(topic, number))
                turn += 1
        return assignment


class StickyAssignor:
    """Everybody keeps what they had, as far as it is still theirs to want; the rest goes to whoever has least.

    Then one partition at a time moves from who has most to who has least, while that evens things out.
    """

    name = "sticky"
    is_cooperative = False

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Assignment:
        wants = {member.member_id: set(member.topics) for member in members}
        assignment: Assignment = {member.member_id: [] for member in members}
        everything = [TopicPartition(topic, n) for topic in sorted(partitions) for n in range(partitions[topic])]
        left = {place for place in everything if any(place.topic in topics for topics in wants.values())}
        # of two that claim the same partition, the one of the later generation has it
        for member in sorted(members, key=lambda each: each.generation, reverse=True):
            for place in member.owned:
                if place in left and place.topic in wants[member.member_id]:
                    left.discard(place)
                    assignment[member.member_id].append(place)
        for place in sorted(left):
            takers = [name for name, topics in wants.items() if place.topic in topics]
            assignment[min(takers, key=lambda name: (len(assignment[name]), name))].append(place)
        self._even_out(assignment, wants)
        return assignment

    def _even_out(self, assignment: Assignment, wants: Mapping[str, set[str]]) -> None:
        is_moving = True
        while is_moving:
            is_moving = False
            for giver in sorted(assignment, key=lambda name: -len(assignment[name])):
                for taker in sorted(assignment, key=lambda name: len(assignment[name])):
                    if len(assignment[giver]) - len(assignment[taker]) < 2:
                        break
                    movable = [place for place in assignment[giver] if place.topic in wants[taker]]
                    if movable:
                        assignment[giver].remove(movable[-1])
                        assignment[taker].append(movable[-1])
                        is_moving = True
                        break
                if is_moving:
                    break


class CooperativeStickyAssignor(StickyAssignor):
    """A partition that moves is first taken from its owner, and given to the next one in a second round."""

    name = "cooperative-sticky"
    is_cooperative = True

    def assign(self, partitions: Mapping[str, int], members: Sequence[Member]) -> Assignment:
        assignment = super().assign(partitions, members)
        latest = max((member.generation for member in members), default=-1)
        owner = {
            place: member.member_id
            for member in sorted(members, key=lambda each: each.generation)
            for place in member.owned
            if member.generation in (latest, -1)
        }
        return {
            name: [place for place in places if owner.get(place, name) == name] for name, places in assignment.items()
        }


NAMED: Final[dict[str, type[RangeAssignor] | type[RoundRobinAssignor] | type[StickyAssignor]]] = {
    each.name: each for each in (RangeAssignor, RoundRobinAssignor, StickyAssignor, CooperativeStickyAssignor)
}


def make(given: Sequence[str | Assignor]) -> list[Assignor]:
    """From names and objects, in order of preference. Raises ConfigError."""
    made: list[Assignor] = []
    for each in given:
        if not isinstance(each, str):
            made.append(each)
            continue
        name = each.rpartition(".")[2]
        name = {
            "RangeAssignor": "range",
            "RoundRobinAssignor": "roundrobin",
            "StickyAssignor": "sticky",
            "CooperativeStickyAssignor": "cooperative-sticky",
        }.get(name, name)
        if name not in NAMED:
            raise ConfigError(f"partition.assignment.strategy={each}: must be one of {', '.join(NAMED)}, or your own")
        made.append(NAMED[name]())
    if not made:
        raise ConfigError("partition.assignment.strategy is empty")
    return made
