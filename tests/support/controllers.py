"""Controllers for tests: built in one line, asked in one line."""

from __future__ import annotations

from collections.abc import Iterable

from machines.controller import (
    AppendRecords,
    Asked,
    Broadcast,
    BrokerDied,
    ControllerMachine,
    Effect,
    Elected,
    Event,
    Send,
)
from machines.metadata import Change, MetadataImage, PartitionInfo
from model.configs import BrokerConfig
from protocol.cluster_admin import CreateTopics, NewTopic
from protocol.cluster_control import AlterIsr, IsrProposal, IsrResult, RegisterBroker


class TestController:
    """A machine with brokers of incarnation 1; after every step its invariants hold and a replay gives its image."""

    __test__ = False

    def __init__(self, brokers: Iterable[int] = (1, 2, 3), **overrides: str) -> None:
        config = BrokerConfig({key.replace("_", "."): value for key, value in overrides.items()})
        self.machine = ControllerMachine(MetadataImage(), config)
        self.replica = MetadataImage()
        self.last_changes: list[Change] = []
        self.step(Elected(1, 1, {}))
        for broker in brokers:
            self.register(broker)

    @property
    def image(self) -> MetadataImage:
        return self.machine.image

    def step(self, event: Event, now_ms: int = 0) -> list[Effect]:
        self.last_changes = []
        effects = self.machine.step(event, now_ms)
        self.machine.check()
        for at, effect in enumerate(effects):
            if isinstance(effect, AppendRecords):
                assert at == 0, "what must be durable stands first"
                self.last_changes = self.replica.apply_batch(effect.base_version, effect.records)
        assert self.replica == self.image, "a replay differs from the live image"
        return effects

    def ask(self, request: object, broker: int = 1):
        """The reply."""
        effects = self.step(Asked(broker, request))  # type: ignore[arg-type]
        reply = effects[-1]
        assert isinstance(reply, Send) and reply.broker_id == broker
        assert reply.message.correlation_id == request.correlation_id  # type: ignore[union-attr, attr-defined]
        return reply.message

    def register(self, broker: int, incarnation: int = 1, last_version: int = -1, has_doubts: bool = False):
        request = RegisterBroker(9, broker, incarnation, "host", 9000 + broker, None, last_version, has_doubts)
        return self.ask(request, broker)

    def die(self, broker: int, incarnation: int = 1) -> list[Effect]:
        return self.step(BrokerDied(broker, incarnation))

    def create(self, name: str = "t", *replicas: tuple[int, ...], configs: dict[str, str] | None = None) -> None:
        """A topic whose partitions have these replicas; [1, 2, 3] when none are given."""
        assigned = dict(enumerate(replicas or ((1, 2, 3),)))
        reply = self.ask(CreateTopics(1, [NewTopic(name, assignments=assigned, configs=dict(configs or {}))]))
        assert reply.topics[0].error == 0, reply

    def partition(self, topic: str = "t", partition: int = 0) -> PartitionInfo:
        found = self.image.partition(topic, partition)
        assert found is not None
        return found

    def propose_isr(self, isr: tuple[int, ...], topic: str = "t", **changes: object) -> IsrResult:
        """What the leader of partition 0 would send, with `changes` to the proposal."""
        now = self.partition(topic)
        topic_id = self.image.topics[topic].topic_id
        proposal = dict(
            topic=topic,
            topic_id=topic_id,
            partition=0,
            leader_epoch=now.leader_epoch,
            partition_epoch=now.partition_epoch,
            isr=isr,
        )
        sender = changes.pop("sender", now.leader)
        incarnation = changes.pop("sender_incarnation", self.image.brokers[sender].incarnation)  # type: ignore[index]
        proposal.update(changes)
        reply = self.ask(AlterIsr(5, sender, incarnation, [IsrProposal(**proposal)]), sender)  # type: ignore[arg-type]
        return reply.partitions[0]


def broadcast_records(effects: list[Effect]) -> list[object]:
    """What the brokers hear."""
    return [r for e in effects if isinstance(e, Broadcast) for r in getattr(e.message, "records", ())]
