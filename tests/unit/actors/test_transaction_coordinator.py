"""The coordinator's shell: replay before service, one batch for what comes together, markers until all are done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

from actors import transaction_log
from actors.actor import ActorSystem
from actors.append_request import AppendRequest
from actors.transaction_coordinator import TransactionCoordinator
from actors.transaction_ports import TransactionLimits, TransactionRequest
from machines.marker_delivery import Leader
from machines.transaction_events import AddPartitions, Answer, EndTransaction, InitProducerId, Request
from machines.transaction_state import Status, TransactionState
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.cluster_transactions import MarkerOutcome, MarkersWritten, WriteMarkers
from protocol.records import iter_batches, patch

PATH = "/transaction/3"
A0 = TopicPartition("a", 0)
NONE = ErrorCode.NONE


def on_a_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 5))  # type: ignore[arg-type]

    return run


class FakeLog:
    """Batches in memory; those at or above the high watermark of the replica are not committed."""

    def __init__(self) -> None:
        self.log_start_offset = self.log_end_offset = 0
        self.batches: list[tuple[int, bytearray]] = []
        self.reads = 0

    def append(self, batch: bytearray) -> None:
        (header,) = iter_batches(batch)
        patch(batch, 0, self.log_end_offset, 0)
        self.batches.append((self.log_end_offset, batch))
        self.log_end_offset += header.last_offset_delta + 1

    def read(self, offset: int, max_bytes: int, *, up_to: int) -> bytes:
        self.reads += 1
        return next((bytes(batch) for base, batch in self.batches if offset <= base < up_to), b"")


class World:
    """A coordinator on a fake partition; implements CoordinatorPorts."""

    def __init__(self, *states: TransactionState) -> None:
        self.log = FakeLog()
        for number, state in enumerate(states):
            self.log.append(transaction_log.encode([(f"id-{number}", state.to_record())], 0))
        self.replica: Any = SimpleNamespace(
            log=self.log,
            partition=TopicPartition("__transaction_state", 3),
            info=SimpleNamespace(leader_epoch=7),
            leader=object(),
            high_watermark=self.log.log_end_offset,
            waiters=set(),
        )
        self.appends: list[AppendRequest] = []
        self.holds_appends = False
        self.markers: list[tuple[int, WriteMarkers]] = []
        self.leader: Leader | None = Leader(2, 20, 1)
        self.answers: list[Answer] = []
        self.registry: dict[int, TransactionCoordinator] = {}
        self.system = ActorSystem()

    def start(self) -> None:
        self.system.start(PATH, lambda: TransactionCoordinator(self.replica, self, self.registry))

    def now_ms(self) -> int:
        return 5_000

    def wall_ms(self) -> int:
        return 1_000_000

    def append(self, replica: Any, request: AppendRequest) -> None:
        self.appends.append(request)
        if not self.holds_appends:
            self.commit()

    def commit(self, error: ErrorCode = NONE) -> None:
        for request in self.appends:
            if not request.is_answered:
                if error is NONE:
                    self.log.append(request.records)  # type: ignore[arg-type]
                    self.replica.high_watermark = self.log.log_end_offset
                request.answer(error)

    def leader_of(self, partition: TopicPartition) -> Leader | None:
        return self.leader

    def exists(self, partition: TopicPartition) -> bool:
        return partition.topic != "deleted"

    def send_markers(self, broker_id: int, message: WriteMarkers) -> bool:
        self.markers.append((broker_id, message))
        return True

    async def next_producer_id(self) -> int | None:
        return 1000

    def limits(self) -> TransactionLimits:
        return TransactionLimits()

    async def ask(self, make: Callable[[Any], Request], name: str = "id-0") -> None:
        self.system.tell(PATH, TransactionRequest(name, make(self.answers.append)))
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    def outcome(self, error: ErrorCode = NONE, epoch: int = 7, producer_epoch: int = 0) -> MarkersWritten:
        number = self.markers[-1][1].markers[0].number if self.markers else 0
        return MarkersWritten(epoch, [MarkerOutcome("id-0", 5, producer_epoch, *A0, number, error)])

    def late_outcome(self) -> MarkersWritten:
        """The same for the transaction before, if it comes again."""
        outcome = self.outcome().outcomes[0]
        return MarkersWritten(7, [MarkerOutcome("id-0", 5, outcome.producer_epoch, *A0, outcome.number - 1, NONE)])


def state(status: Status = Status.EMPTY, *partitions: TopicPartition) -> TransactionState:
    return TransactionState(5, 0, 60_000, status, frozenset(partitions), started_ms=999_999, updated_ms=999_999)


@on_a_loop
async def test_it_replays_and_then_serves_in_the_order_of_arrival() -> None:
    world = World(state())
    world.start()
    await world.ask(lambda t: AddPartitions(t, 5, 0, frozenset({A0})))
    await world.ask(lambda t: EndTransaction(t, 5, 0, True))
    assert [answer.error for answer in world.answers] == [NONE, NONE]
    assert world.registry[3].machines["id-0"].state is not None
    assert len(world.registry) == 1


@on_a_loop
async def test_it_serves_nothing_that_rests_on_uncommitted_records() -> None:
    world = World(state())
    world.replica.high_watermark = 0
    world.start()
    await world.ask(lambda t: AddPartitions(t, 5, 0, frozenset({A0})))
    assert (world.answers, world.registry[3].is_loaded) == ([], False)
    world.replica.high_watermark = 1
    for waiter in list(world.replica.waiters):
        waiter()
    await world.settle()
    assert [answer.error for answer in world.answers] == [NONE]


@on_a_loop
async def test_a_new_id_is_given_a_producer_and_nothing_is_answered_before_it_is_durable() -> None:
    world = World()
    world.holds_appends = True
    world.start()
    await world.ask(lambda t: InitProducerId(t, 60_000))
    assert (len(world.appends), world.answers) == (1, [])
    world.commit()
    await world.settle()
    assert [(a.error, a.producer_id, a.producer_epoch) for a in world.answers] == [(NONE, 1000, 0)]


@on_a_loop
async def test_what_comes_in_one_turn_is_written_as_one_batch() -> None:
    world = World(state(), state(), state())
    world.start()
    await world.settle()
    for number in range(3):
        event = AddPartitions(world.answers.append, 5, 0, frozenset({A0}))
        world.system.tell(PATH, TransactionRequest(f"id-{number}", event))
    await world.settle()
    assert (len(world.appends), len(world.answers)) == (1, 3)


@on_a_loop
async def test_markers_go_out_after_the_decision_and_complete_the_transaction() -> None:
    world = World(state(Status.ONGOING, A0))
    world.start()
    world.holds_appends = True
    await world.ask(lambda t: EndTransaction(t, 5, 0, True))
    assert world.markers == []
    world.commit()
    world.holds_appends = False
    await world.settle()
    ((broker, message),) = world.markers
    assert (broker, message.coordinator, message.coordinator_epoch) == (2, 3, 7)
    assert [(m.transactional_id, m.is_commit, m.topic) for m in message.markers] == [("id-0", True, "a")]
    machine = world.registry[3].machines["id-0"]
    world.system.tell(PATH, world.outcome(epoch=6))
    world.system.tell(PATH, world.outcome(ErrorCode.TRANSACTION_COORDINATOR_FENCED))
    world.system.tell(PATH, world.late_outcome())
    await world.settle()
    assert machine.state is not None and machine.state.status is Status.PREPARE_COMMIT
    world.system.tell(PATH, world.outcome())
    await world.settle()
    assert machine.state.status is Status.COMPLETE_COMMIT


@on_a_loop
async def test_the_next_coordinator_sends_the_markers_of_what_was_decided() -> None:
    world = World(state(Status.PREPARE_ABORT, A0))
    world.start()
    await world.settle()
    assert [m.is_commit for _, message in world.markers for m in message.markers] == [False]


@on_a_loop
async def test_markers_for_deleted_topics_are_not_waited_for() -> None:
    world = World(state(Status.PREPARE_COMMIT, TopicPartition("deleted", 0)))
    world.start()
    await world.settle()
    machine = world.registry[3].machines["id-0"]
    assert machine.state is not None and machine.state.status is Status.COMPLETE_COMMIT
    assert world.markers == []


@on_a_loop
async def test_an_uncertain_write_leads_to_a_replay_and_those_who_wait_ask_again() -> None:
    world = World(state())
    world.start()
    await world.settle()
    world.holds_appends = True
    await world.ask(lambda t: AddPartitions(t, 5, 0, frozenset({A0})))
    world.log.append(world.appends[0].records)  # type: ignore[arg-type]  # it did get there
    world.replica.high_watermark = world.log.log_end_offset
    world.commit(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    await world.settle()
    assert [answer.error for answer in world.answers] == [ErrorCode.NOT_COORDINATOR]
    machine = world.registry[3].machines["id-0"]
    assert machine.state is not None and machine.state.status is Status.ONGOING


@on_a_loop
async def test_a_write_that_was_refused_changes_nothing() -> None:
    world = World(state())
    world.start()
    world.holds_appends = True
    await world.ask(lambda t: AddPartitions(t, 5, 0, frozenset({A0})))
    world.commit(ErrorCode.NOT_ENOUGH_REPLICAS)
    await world.settle()
    assert [answer.error for answer in world.answers] == [ErrorCode.COORDINATOR_NOT_AVAILABLE]
    machine = world.registry[3].machines["id-0"]
    assert machine.state is not None and machine.state.status is Status.EMPTY


@on_a_loop
async def test_when_the_role_ends_everyone_is_sent_to_the_next_coordinator() -> None:
    world = World(state())
    world.start()
    world.holds_appends = True
    await world.ask(lambda t: AddPartitions(t, 5, 0, frozenset({A0})))
    world.system.stop(PATH)
    assert [answer.error for answer in world.answers] == [ErrorCode.NOT_COORDINATOR]
    assert world.registry == {}
