"""What changes a KIP-848 group: subscriptions, topics, members that come and go, epochs, targets and steps to them."""

from __future__ import annotations

from collections.abc import Sequence

from machines.assignors import ASSIGNORS, Question
from machines.consumer_group import ConsumerGroup
from machines.consumer_member import ConsumerMember, MemberState, Progress, Subscription, reconcile
from machines.consumer_records import (
    assignment_epoch_record,
    epoch_record,
    member_record,
    progress_record,
    regex_record,
    target_record,
    tombstones,
)
from machines.group_events import NEVER_MS
from machines.topic_regex import TopicRegex
from machines.topic_view import NO_PARTITIONS, Partitions, TopicView, hash_of


def resolve(group: ConsumerGroup, pattern: str, topics: TopicView, wall_ms: int) -> None:
    """Write down what a pattern matches now, if that is new; internal topics too, as in Kafka. Raises BadPattern."""
    regex = TopicRegex(pattern)
    found = frozenset(name for name in topics.names() if regex.matches(name))
    if group.regexes.get(pattern) != found:
        group.write([regex_record(group.group_id, pattern, found, wall_ms)])


def on_topics_changed(group: ConsumerGroup, topics: TopicView, wall_ms: int) -> None:
    """Topics came, went or grew: the target may be another."""
    for pattern in list(group.regexes):
        resolve(group, pattern, topics, wall_ms)
    if group.members and hash_of(group.subscribed_topics(), topics) != group.metadata_hash:
        bump(group, topics)


def bump(group: ConsumerGroup, topics: TopicView) -> None:
    """Begin a new group epoch."""
    value = hash_of(group.subscribed_topics(), topics)
    group.write([epoch_record(group.group_id, group.epoch + 1, value)])


def assign(group: ConsumerGroup, topics: TopicView, wall_ms: int) -> None:
    """Bring the target assignment to the group's epoch."""
    if group.assignment_epoch == group.epoch:
        return
    shapes = {name: topics.shape(name) for name in group.subscribed_topics()}
    ids = {name: shape.topic_id for name, shape in shapes.items() if shape is not None}
    question = Question(
        wants={
            m.member_id: frozenset(ids[name] for name in group.topics_of(m) if name in ids)
            for m in group.members.values()
        },
        has={member_id: group.targets.get(member_id, NO_PARTITIONS) for member_id in group.members},
        instances={m.member_id: m.subscription.instance_id for m in group.members.values()},
        partitions={shape.topic_id: shape.partitions for shape in shapes.values() if shape is not None},
    )
    found = ASSIGNORS[group.assignor](question)
    records = [
        target_record(group.group_id, member_id, partitions)
        for member_id, partitions in found.items()
        if group.targets.get(member_id) != partitions
    ]
    group.write([*records, assignment_epoch_record(group.group_id, group.epoch, wall_ms)])


def step_towards_target(group: ConsumerGroup, member: ConsumerMember, owned: Partitions | None, now_ms: int) -> None:
    """Reconcile one member, and start or end the time it has to give partitions away."""

    def is_free(partition: tuple[bytes, int]) -> bool:
        return group.owners.get(partition, member.member_id) == member.member_id

    target = group.targets.get(member.member_id, NO_PARTITIONS)
    progress = reconcile(member.progress, group.assignment_epoch, target, owned, is_free)
    if progress != member.progress:
        group.write([progress_record(group.group_id, member.member_id, progress)])
        member.revoke_deadline_ms = NEVER_MS
        if progress.state is MemberState.UNREVOKED:
            member.revoke_deadline_ms = now_ms + member.subscription.rebalance_timeout_ms
            group.watch(member.revoke_deadline_ms)


def subscribe(group: ConsumerGroup, member_id: str, subscription: Subscription) -> bool:
    """Write down what a member says of itself; True when that makes a new target necessary."""
    member = group.members.get(member_id)
    before = member.subscription if member is not None else None
    if before == subscription:
        return False
    group.write([member_record(group.group_id, member_id, subscription)])
    if before is None:
        return True
    _forget_unused_regexes(group)
    wanted = (before.topics, before.regex, before.assignor)
    return wanted != (subscription.topics, subscription.regex, subscription.assignor)


def remove(group: ConsumerGroup, members: Sequence[ConsumerMember], topics: TopicView) -> None:
    """Members are out; what they had is shared anew at the next heartbeat of another one.

    A group that goes down to the classic protocol now keeps its epoch: it becomes the generation, and the members that
    are left are known by it.
    """
    if members:
        group.write(record for m in members for record in tombstones(group.group_id, m.member_id))
        _forget_unused_regexes(group)
        if not group.may_go_down:
            bump(group, topics)


def replace(group: ConsumerGroup, former: ConsumerMember, member_id: str) -> None:
    """A static member is back under another id: it takes over the target and what its predecessor owned."""
    if former.member_id != member_id:
        target = group.targets.get(former.member_id)
        progress = Progress(0, 0, MemberState.STABLE, former.progress.assigned)
        records = [
            *tombstones(group.group_id, former.member_id),
            member_record(group.group_id, member_id, former.subscription),
            progress_record(group.group_id, member_id, progress),
        ]
        if target is not None:
            records.append(target_record(group.group_id, member_id, target))
        group.write(records)
    elif former.progress.epoch < 0:
        progress = Progress(0, 0, MemberState.STABLE, former.progress.assigned)
        group.write([progress_record(group.group_id, member_id, progress)])


def _forget_unused_regexes(group: ConsumerGroup) -> None:
    used = {member.subscription.regex for member in group.members.values()}
    group.write(regex_record(group.group_id, name, None, 0) for name in list(group.regexes) if name not in used)


def put_out_the_late(group: ConsumerGroup, topics: TopicView, now_ms: int) -> None:
    """The alarm rang: whoever is past a deadline is out; look when to come again."""
    remove(group, [member for member in group.members.values() if now_ms >= member.deadline_ms], topics)
    group.next_deadline_ms = min((member.deadline_ms for member in group.members.values()), default=NEVER_MS)
