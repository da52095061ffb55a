"""The image is a fold: replay, snapshot and live agree, whatever happened; and it says what changed."""

import pytest
from controllers import TestController
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from machines.controller import ControllerMachine, Elected, Tick
from machines.metadata import Change, ChangeKind, MetadataGap, MetadataImage
from model.configs import BrokerConfig
from protocol.cluster_admin import (
    UNCLEAN,
    AlterReassignments,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    ElectLeaders,
    MorePartitions,
    NewTopic,
    Reassignment,
    TopicToDelete,
)
from protocol.cluster_control import ControlledShutdown
from protocol.metadata_records import BrokerRecord, ConfigRecord, PartitionRecord, TopicRecord, TopicRemoved

ID = b"i" * 16
FIRST = PartitionRecord("t", 0, (1, 2), (1, 2), 1, 0, 0)
SECOND = PartitionRecord("t", 0, (1, 2), (2,), 2, 1, 1)


def test_each_record_says_what_it_touched():
    image = MetadataImage()
    assert image.apply(TopicRecord("t", ID)) == (Change(ChangeKind.TOPIC, "t", ID),)
    assert image.apply(FIRST) == (Change(ChangeKind.PARTITION, "t", ID, 0, None, FIRST),)
    assert image.apply(SECOND) == (Change(ChangeKind.PARTITION, "t", ID, 0, FIRST, SECOND),)
    assert image.apply(ConfigRecord(2, "t", "a", "b")) == (Change(ChangeKind.TOPIC_CONFIG, "t", ID),)
    assert image.apply(ConfigRecord(4, "3", "a", "b")) == (Change(ChangeKind.BROKER_CONFIG, broker_id=3),)
    assert image.apply(BrokerRecord(3, 1, "h", 1)) == (Change(ChangeKind.BROKER, broker_id=3),)
    assert image.apply(TopicRemoved("t", ID)) == (
        Change(ChangeKind.PARTITION, "t", ID, 0, SECOND, None),
        Change(ChangeKind.TOPIC, "t", ID, is_removed=True),
    )
    assert image.version == 7 and image.partition_count == 0


def test_repeated_records_are_skipped_and_gaps_are_refused():
    image = MetadataImage()
    records = [TopicRecord("t", ID), FIRST, SECOND]
    image.apply_batch(0, records[:2])
    assert len(image.apply_batch(0, records)) == 1
    assert image.apply_batch(0, records) == []
    with pytest.raises(MetadataGap):
        image.apply_batch(4, records)
    assert image.version == 3 and image.partition("t", 0) == SECOND


class AnyHistory(RuleBasedStateMachine):
    """Brokers die and return in any order while topics change; TestController checks each step.

    Here it is checked that epochs never go back, that no two leaders share an epoch, and that but for an unclean
    election only a leader's proposal lets anyone into the ISR, and only ISR members come to lead.
    """

    brokers = st.integers(1, 4)
    topics = st.sampled_from(["a", "b"])

    def __init__(self):
        super().__init__()
        self.controller = TestController(brokers=range(1, 5))
        self.controller.create("a", (1, 2, 3), (2, 3, 4))
        self.incarnations = dict.fromkeys(range(1, 5), 1)
        self.leaders = {}
        self.epochs = {}
        self.may_join_isr = False

    def is_alive(self, broker):
        return self.controller.image.is_alive(broker)

    @rule(broker=brokers)
    def die(self, broker):
        self.controller.die(broker, self.incarnations[broker])

    @rule(broker=brokers)
    def come_back(self, broker):
        self.incarnations[broker] += 1
        assert self.controller.register(broker, self.incarnations[broker]).error == 0

    @rule(broker=brokers)
    def shut_down(self, broker):
        self.controller.ask(ControlledShutdown(1, broker, self.incarnations[broker]))

    @rule(topic=topics, isr=st.lists(brokers, max_size=4).map(tuple))
    def propose(self, topic, isr):
        now = self.controller.image.partition(topic, 0)
        if now is not None and now.leader >= 0:
            self.may_join_isr = True
            self.controller.propose_isr(isr if now.leader in isr else (now.leader, *isr), topic)

    @rule(topic=topics, factor=st.integers(1, 4), partitions=st.integers(1, 3))
    def create(self, topic, factor, partitions):
        self.controller.ask(CreateTopics(1, [NewTopic(topic, partitions, factor)]))

    @rule(topic=topics)
    def grow(self, topic):
        self.controller.ask(CreatePartitions(1, [MorePartitions(topic, 4)]))

    @precondition(lambda self: len(self.controller.image.topics) == 2)
    @rule(topic=topics)
    def delete(self, topic):
        self.controller.ask(DeleteTopics(1, [TopicToDelete(topic)]))

    @rule(topic=topics, replicas=st.none() | st.lists(brokers, min_size=1, max_size=4).map(tuple))
    def move(self, topic, replicas):
        self.controller.ask(AlterReassignments(1, [Reassignment(topic, 0, replicas)]))

    @rule(topic=topics)
    def elect_unclean(self, topic):
        self.controller.ask(ElectLeaders(1, UNCLEAN, [(topic, 0)]))
        self.controller.last_changes = []

    @rule(now_ms=st.integers(0, 10**7))
    def tick(self, now_ms):
        self.controller.step(Tick(), now_ms)

    @rule(alive=st.sets(brokers))
    def another_controller_takes_over(self, alive):
        image = self.controller.image
        stored = MetadataImage.of(image.to_records(), image.version)
        assert stored == image
        self.controller.machine = ControllerMachine(stored, BrokerConfig())
        epoch = image.controller_epoch + 1
        self.controller.step(Elected(1, epoch, {broker: self.incarnations[broker] for broker in alive}))

    @invariant()
    def leaders_come_from_the_isr(self):
        for change in self.controller.last_changes:
            if change.kind is ChangeKind.PARTITION and change.before is not None and change.after is not None:
                assert change.after.leader in (-1, change.before.leader, *change.before.isr)
                assert self.may_join_isr or set(change.after.isr) <= set(change.before.isr)
        self.may_join_isr, self.controller.last_changes = False, []  # a rule that does nothing must not see them again

    @invariant()
    def epochs_only_grow_and_have_one_leader(self):
        image = self.controller.image
        for topic in image.topics.values():
            for now in topic.partitions.values():
                key = (topic.topic_id, now.partition)
                before = self.epochs.get(key, (0, 0))
                assert (now.leader_epoch, now.partition_epoch) >= before
                assert now.partition_epoch >= before[1]
                self.epochs[key] = (now.leader_epoch, now.partition_epoch)
                assert self.leaders.setdefault((key, now.leader_epoch), now.leader) == now.leader


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyHistory = AnyHistory.TestCase
