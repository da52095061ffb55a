"""Clients, a coordinator and partitions on a slow, crashing network: every transaction has one outcome everywhere.

The real machines, gate and producer states; messages wait in first-in-first-out channels until hypothesis delivers
them. Checked against what the clients were told:

- all batches of one transaction, on all partitions, are committed, or all are aborted;
- what a client was told is committed is committed, with every batch that was acknowledged to it;
- once everything is delivered and time has passed, no partition has an open transaction (the last stable offset is the
  log's end) and no request is without an answer.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from transactions import TIMEOUT_MS, Coordinator

from actors.append_request import AppendRequest, MarkerRequest
from actors.transaction_gate import TransactionGate, Verified
from machines.marker_delivery import RESEND_MS, Leader, MarkerDelivery, TransactionMarker
from machines.transaction_events import (
    AddPartitions,
    Answer,
    EndTransaction,
    InitProducerId,
    Loaded,
    MarkerWritten,
    Request,
    TimerFired,
    VerifyPartitions,
)
from machines.verification import ASK_AGAIN_MS, GIVE_UP_MS, Claim
from model.errors import ErrorCode, KafkaError
from model.ids import TopicPartition
from protocol.control_batches import end_txn_marker
from protocol.records import Record, decode_records, encode_batch, iter_batches
from storage.admission import find_duplicate
from storage.log import AppendInfo
from storage.producer_state import ProducerStateMap

PARTITIONS = [TopicPartition("t", index) for index in range(3)]
NAMES = st.integers(0, len(PARTITIONS) - 1)


class FakeLog:
    """Keeps batches in a list; `outcomes` says of each transaction's name how its batches here ended."""

    def __init__(self) -> None:
        self.producers = ProducerStateMap()
        self.log_start_offset = self.log_end_offset = 0
        self.open: dict[int, list[bytes]] = defaultdict(list)
        self.outcomes: list[tuple[bytes, bool]] = []

    def append_as_leader(self, batch: Any, epoch: int, now_ms: int, *, from_client: bool = True) -> AppendInfo:
        headers = list(iter_batches(batch))
        copies = find_duplicate(batch, headers, self.producers)
        end = self.log_end_offset
        if copies is not None:
            return AppendInfo(copies[0].first_offset, copies[1].last_offset, -1, -1, 1, memoryview(batch), True, 0)
        header = headers[0]._replace(base_offset=end)
        if header.is_control:
            marker = end_txn_marker(batch, headers[0])
            assert marker is not None
            self.producers.update(header, marker)
            self.outcomes += [(name, marker.is_commit) for name in self.open.pop(header.producer_id, [])]
        else:
            self.producers.update(header)
            name = decode_records(batch, headers[0])[0].value
            assert name is not None and header.is_transactional
            self.open[header.producer_id].append(name)
        self.log_end_offset = end + 1
        self.producers.check_invariants()
        return AppendInfo(end, end, -1, -1, 1, memoryview(batch), False, 0)


class Partition:
    """A led partition: its gate and its log. Everything it holds is committed at once."""

    def __init__(self, world: World, name: TopicPartition) -> None:
        self.world = world
        self.name = name
        self.terms = 0
        self.log = FakeLog()
        self.to_coordinator: deque[Callable[[], None]] = deque()
        self.from_coordinator: deque[Callable[[], None]] = deque()
        self.from_clients: deque[AppendRequest] = deque()
        self.lead()

    def lead(self) -> None:
        replica: Any = SimpleNamespace(log=self.log, partition=self.name)
        ports: Any = SimpleNamespace(
            verifies_transactions=True,
            ask_coordinator=self.ask,
            now_ms=self.now_ms,
            first_number=self.first_number,
        )
        self.gate = TransactionGate(replica, ports, self.append)

    def first_number(self) -> int:
        self.terms += 1
        return self.terms << 20

    def now_ms(self) -> int:
        return self.world.coordinator.now_ms

    def ask(self, _: Any, number: int, claim: Claim) -> ErrorCode:
        gate = self.gate

        def answered(answer: Answer) -> None:
            error = ErrorCode.TRANSACTION_ABORTABLE if answer.absent else answer.error
            self.from_coordinator.append(lambda: gate.on_answer(Verified(number, error)))

        partitions = frozenset((self.name,))
        event: Request = (
            AddPartitions(answered, claim.producer_id, claim.producer_epoch, partitions, version=2)
            if claim.adds
            else VerifyPartitions(answered, claim.producer_id, claim.producer_epoch, partitions)
        )
        self.to_coordinator.append(lambda: self.world.request(event))
        return ErrorCode.NONE

    def on_client(self) -> None:
        request = self.from_clients.popleft()
        if self.gate.admits(request):
            self.append(request)

    def append(self, request: AppendRequest) -> None:
        try:
            request.write_to(self.log, 0, 0)  # type: ignore[arg-type]
        except KafkaError as error:
            request.answer(error.code)
        else:
            request.answer(ErrorCode.NONE)

    def write_marker(self, marker: TransactionMarker, coordinator_epoch: int) -> None:
        def written(request: AppendRequest) -> None:
            self.to_coordinator.append(lambda: self.world.on_outcome(marker, coordinator_epoch, request.error))

        self.append(
            MarkerRequest(
                b"",
                -1,
                written,
                producer_id=marker.producer_id,
                producer_epoch=marker.producer_epoch,
                is_commit=marker.is_commit,
                coordinator_epoch=coordinator_epoch,
                version=marker.version,
            )
        )
        self.gate.on_marker(marker.producer_id)


@dataclass
class Client:
    """One instance with the transactional id. It stops at the first error, as a careful program does."""

    version: int
    who: tuple[int, int] = (-1, -1)
    transaction: int = 0
    is_open: bool = False
    is_busy: bool = True  # waits for the coordinator
    is_dead: bool = False
    unanswered: int = 0
    added: set[TopicPartition] = field(default_factory=set)
    sequences: dict[TopicPartition, int] = field(default_factory=dict)
    acked: int = 0


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.coordinator = Coordinator()
        self.coordinator_epoch = 0
        self.delivery = MarkerDelivery()
        self.partitions = [Partition(self, name) for name in PARTITIONS]
        self.clients: list[Client] = []
        self.names = 0
        self.told: dict[bytes, bool] = {}  # what clients were told: transaction -> committed
        self.acked: dict[bytes, int] = defaultdict(int)

    # -- the coordinator's shell --------------------------------------------------------------------------------------

    def request(self, event: Any) -> None:
        self.step(event)

    def step(self, event: Any) -> None:
        """The harness performs the effects; answers go to their tokens, markers into the delivery."""
        it = self.coordinator
        it.step(event)
        for sent in it.sent:
            self.delivery.add(
                TransactionMarker("id", sent.producer_id, sent.producer_epoch, sent.is_commit, sent.version, partition)
                for partition in sorted(sent.partitions)
            )
        it.sent.clear()
        answers, it.answers = it.answers, {}
        for token, answer in answers.items():
            assert callable(token)
            token(answer)
        self.send_markers()

    def send_markers(self) -> None:
        epoch = self.coordinator_epoch
        for markers in self.delivery.due(self.coordinator.now_ms, lambda _: Leader(1, 1, 1)).values():
            for marker in markers:
                partition = self.partitions[marker.partition.partition]
                partition.from_coordinator.append(lambda p=partition, m=marker: p.write_marker(m, epoch))  # type: ignore[misc]

    def on_outcome(self, marker: TransactionMarker, coordinator_epoch: int, error: ErrorCode) -> None:
        if coordinator_epoch != self.coordinator_epoch:
            return
        found = self.delivery.find("id", marker.partition, marker.producer_id, marker.producer_epoch)
        if found is not None and error is ErrorCode.NONE:
            self.delivery.done(found)
            self.step(MarkerWritten(marker.partition, marker.producer_id, marker.producer_epoch))
        elif found is not None:
            assert error is not ErrorCode.INVALID_PRODUCER_EPOCH, "a marker that is waited for is always welcome"

    # -- clients ------------------------------------------------------------------------------------------------------

    @initialize(version=st.sampled_from([0, 2]))
    def the_first_client_starts(self, version: int) -> None:
        self.a_client_starts(version)

    @precondition(lambda self: len(self.clients) < 4)
    @rule(version=st.sampled_from([0, 2]), luck=st.integers(0, 3))
    def another_client_starts(self, version: int, luck: int) -> None:
        if luck == 0 or all(client.is_dead for client in self.clients):
            self.a_client_starts(version)

    def a_client_starts(self, version: int) -> None:
        client = Client(version)
        self.clients.append(client)

        def answered(answer: Answer) -> None:
            client.is_busy = False
            client.is_dead = answer.error is not ErrorCode.NONE
            client.who = answer.producer_id, answer.producer_epoch

        self.request(InitProducerId(answered, TIMEOUT_MS))

    def able(self, number: int) -> Client | None:
        client = self.clients[number % len(self.clients)] if self.clients else None
        return None if client is None or client.is_busy or client.is_dead else client

    @rule(number=st.integers(0, 3), partitions=st.lists(NAMES, min_size=1, max_size=4))
    def a_client_produces_some(self, number: int, partitions: list[int]) -> None:
        for partition in partitions:
            self.a_client_produces(number, partition)

    def a_client_produces(self, number: int, partition: int) -> None:
        client = self.able(number)
        if client is None:
            return
        if not client.is_open:
            client.is_open, client.acked = True, 0
            self.names += 1
            client.transaction = self.names
            client.added = set()
        target = self.partitions[partition]
        if client.version >= 2 or target.name in client.added:
            self.send(client, target)
            return
        client.is_busy = True

        def added(answer: Answer) -> None:
            client.is_busy = False
            if answer.error is ErrorCode.NONE:
                client.added.add(target.name)
                self.send(client, target)
            elif answer.error is not ErrorCode.CONCURRENT_TRANSACTIONS:
                client.is_dead = True

        self.request(AddPartitions(added, *client.who, frozenset((target.name,))))

    def send(self, client: Client, target: Partition) -> None:
        name = b"%d" % client.transaction
        sequence = client.sequences.get(target.name, 0)
        client.sequences[target.name] = sequence + 1
        client.unanswered += 1
        epoch = client.who[1]

        def answered(request: AppendRequest) -> None:
            client.unanswered -= 1
            if request.error is ErrorCode.NONE:
                self.acked[name] += 1
            elif client.who[1] == epoch:
                client.is_dead = True

        batch = encode_batch(
            [Record(-1, 0, None, name)],
            producer_id=client.who[0],
            producer_epoch=epoch,
            base_sequence=sequence,
            transactional=True,
        )
        request = AppendRequest(batch, -1, answered, transactional_id="id", transaction_version=client.version)
        target.from_clients.append(request)

    @rule(number=st.integers(0, 3), is_commit=st.booleans())
    def a_client_ends(self, number: int, is_commit: bool) -> None:
        client = self.able(number)
        if client is None or not client.is_open or (client.unanswered and (is_commit or client.version < 2)):
            return
        if client.version < 2 and not client.added:
            return
        name = b"%d" % client.transaction
        client.is_busy = True

        def ended(answer: Answer) -> None:
            client.is_busy = False
            if answer.error is ErrorCode.CONCURRENT_TRANSACTIONS:
                return
            client.is_open = False
            if answer.error is not ErrorCode.NONE:
                client.is_dead = True
                return
            self.told[name] = is_commit
            if client.version >= 2:
                client.who = answer.producer_id, answer.producer_epoch
                client.sequences = {}

        self.request(EndTransaction(ended, *client.who, is_commit, version=client.version))

    @rule(number=st.integers(0, 3), is_commit=st.booleans())
    def a_client_flushes_and_ends(self, number: int, is_commit: bool) -> None:
        self.all_messages_arrive()
        self.a_client_ends(number, is_commit)

    @rule(number=st.integers(0, 3), partitions=st.lists(NAMES, min_size=1, max_size=4), is_commit=st.booleans())
    def a_client_does_it_all(self, number: int, partitions: list[int], is_commit: bool) -> None:
        self.a_client_produces_some(number, partitions)
        self.a_client_flushes_and_ends(number, is_commit)

    # -- the network --------------------------------------------------------------------------------------------------

    def channels(self) -> list[deque[Any]]:
        return [c for p in self.partitions for c in (p.from_clients, p.from_coordinator, p.to_coordinator)]

    def arrives(self, index: int) -> None:
        """The oldest message of one of the channels."""
        partition = self.partitions[index // 3]
        if index % 3 == 0:
            partition.on_client()
        else:
            (partition.from_coordinator if index % 3 == 1 else partition.to_coordinator).popleft()()

    @rule(choices=st.lists(st.integers(0, 8), max_size=12))
    def some_messages_arrive(self, choices: list[int]) -> None:
        for choice in choices:
            full = [index for index, channel in enumerate(self.channels()) if channel]
            if full:
                self.arrives(full[choice % len(full)])

    @rule()
    def all_messages_arrive(self) -> None:
        while any(self.channels()):
            for index, channel in enumerate(self.channels()):
                if channel:
                    self.arrives(index)

    # -- trouble ------------------------------------------------------------------------------------------------------

    @rule(holds=st.booleans())
    def the_log_is_slow(self, holds: bool) -> None:
        self.coordinator.holds_writes = holds
        if not holds:
            self.coordinator.write_through()
            self.step(TimerFired())

    @rule(is_in_the_log=st.booleans(), luck=st.integers(0, 3))
    def the_coordinator_dies(self, is_in_the_log: bool, luck: int) -> None:
        """What was sent to it is lost; a write under way may or may not have made it."""
        if luck:
            return
        dead = self.coordinator
        log = dead.log + (dead.open_writes if is_in_the_log else [])
        waiting = dead.machine.waiting()
        self.coordinator = Coordinator(log)
        self.coordinator.now_ms = dead.now_ms
        self.coordinator._producer_ids = dead._producer_ids
        self.coordinator_epoch += 1
        self.delivery.clear()
        for partition in self.partitions:
            partition.to_coordinator.clear()
        for token in waiting:
            assert callable(token)
            token(Answer(token, ErrorCode.NOT_COORDINATOR))
        if self.coordinator.machine.state is not None:
            self.step(Loaded())

    @rule(partition=NAMES, luck=st.integers(0, 3))
    def a_leader_dies(self, partition: int, luck: int) -> None:
        """Another replica with the same log leads; whoever waited is told so."""
        if luck:
            return
        it = self.partitions[partition]
        it.gate.dismiss(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        it.lead()

    @rule(ms=st.sampled_from([50, 50, 50, ASK_AGAIN_MS, RESEND_MS, TIMEOUT_MS]))
    def time_passes(self, ms: int) -> None:
        self.coordinator.now_ms += ms
        self.step(TimerFired())
        for partition in self.partitions:
            partition.gate.on_round()

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def one_outcome_everywhere(self) -> None:
        outcomes: dict[bytes, set[bool]] = defaultdict(set)
        for partition in self.partitions:
            for name, is_commit in partition.log.outcomes:
                outcomes[name].add(is_commit)
        for name, found in outcomes.items():
            assert len(found) == 1, f"transaction {name!r} was committed here and aborted there"
            if name in self.told:
                assert found == {self.told[name]}, f"transaction {name!r} did not end as its client was told"

    def teardown(self) -> None:
        self.the_log_is_slow(False)
        for _ in range(40):
            self.all_messages_arrive()
            self.time_passes(GIVE_UP_MS)
        self.one_outcome_everywhere()
        committed: dict[bytes, int] = defaultdict(int)
        for partition in self.partitions:
            assert partition.log.producers.first_undecided_offset is None, "a transaction hangs"
            assert partition.gate.is_idle
            for name, is_commit in partition.log.outcomes:
                committed[name] += is_commit
        for name, is_commit in self.told.items():
            assert not is_commit or committed[name] >= self.acked[name], "an acknowledged batch is missing"
        assert all(not client.is_busy and not client.unanswered for client in self.clients)
        assert not self.coordinator.machine.queue


World.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestTransactions = World.TestCase
