"""The actor that coordinates the transactions of one partition of `__transaction_state`, where this broker leads it.

The shell around `machines.transaction`, one machine per transactional id. It begins with a replay of the partition, in
slices, and serves once all that it read is committed: what it acts on must not be lost with the next leader. When the
log's word on a record is uncertain (the partition's leader actor failed) it replays anew.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from actors import transaction_log
from actors.actor import Actor
from actors.append_request import AppendRequest
from actors.marker_sender import MarkerSender
from actors.replica import Replica
from actors.ticks import Ticks
from actors.transaction_mail import APPENDED, UNCERTAIN, Appended, Flush, Load, Obtained, Tick, for_clients
from actors.transaction_ports import CoordinatorPorts, TransactionRequest, reply
from actors.transaction_replay import TransactionReplay
from machines.marker_delivery import TransactionMarker
from machines.transaction import TransactionMachine
from machines.transaction_events import (
    Answer,
    Effect,
    Event,
    Forget,
    InitProducerId,
    Loaded,
    MarkerWritten,
    ObtainProducerId,
    ProducerIdObtained,
    SendMarkers,
    TimerFired,
    Write,
    WriteRefused,
    Written,
)
from model.errors import ErrorCode
from protocol.cluster_transactions import MarkersWritten
from protocol.internal_topics import TransactionLogValue

logger = logging.getLogger(__name__)

ROWS_PER_BATCH = 200
URGENT_MS = 50
LONGEST_IDLE_MS = 1_000  # sooner than Kafka's 10 s: readers wait for transactions that time out
HOLD_WHILE_LOADING_MS = 1_000


class TransactionCoordinator(Actor):
    """Coordinates one partition's transactional ids in one leader epoch."""

    def __init__(self, replica: Replica, ports: CoordinatorPorts, registry: dict[int, TransactionCoordinator]) -> None:
        super().__init__()
        self.replica = replica
        self.ports = ports
        self.partition = replica.partition.partition
        self.coordinator_epoch = replica.info.leader_epoch
        self.machines: dict[str, TransactionMachine] = {}
        self.is_loaded = False
        self._registry = registry
        self._markers = MarkerSender(self.partition, self.coordinator_epoch, ports)
        self._life: object = object()  # changes with every replay: older mail to myself is void
        self._replay: TransactionReplay | None = None
        self._early: deque[tuple[TransactionRequest, int]] = deque()
        self._writes: list[tuple[str, TransactionLogValue | None]] = []
        self._timed: dict[str, None] = {}  # ids for which time matters
        self._will_flush = self._has_fresh_markers = False
        idle_ms = min(LONGEST_IDLE_MS, ports.limits().timeout_check_ms)
        self._ticks = Ticks(URGENT_MS, idle_ms, lambda delay_ms: self.schedule(delay_ms, Tick(self._life)))
        self._next_expiry_ms = 0

    # -- life ----------------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Replay."""
        self._registry[self.partition] = self
        self._start_loading()

    def on_stop(self) -> None:
        """The role ends: clients look for the next coordinator."""
        if self._registry.get(self.partition) is self:
            del self._registry[self.partition]
        self._abandon()
        while self._early:
            self._early.popleft()[0].refuse(ErrorCode.NOT_COORDINATOR)

    def on_failure(self, *_: Any) -> None:
        """Crash: nothing that waits may hang."""
        self.on_stop()

    def _abandon(self) -> None:
        """Forget everything that is not in the log; whoever waits asks again."""
        self._life = object()
        self.is_loaded = False
        if self._replay is not None:
            self._replay.end()
        for machine in self.machines.values():
            for token in machine.waiting():
                reply(token, Answer(token, ErrorCode.NOT_COORDINATOR))
        self.machines = {}
        self._timed.clear()
        self._writes.clear()
        self._markers.clear()
        self._will_flush = self._has_fresh_markers = False
        self._ticks.cancel()

    def _start_loading(self) -> None:
        life = self._life
        self._replay = TransactionReplay(self.replica, lambda: self._to_myself(Load(life)))
        self._to_myself(Load(self._life))
        self._ticks.arm(urgent=True)

    def on_receive(self, message: Any) -> None:
        """Requests, outcomes of markers, and mail to myself."""
        kind = type(message)
        if kind is TransactionRequest:
            self._on_request(message)
        elif kind is MarkersWritten:
            self._on_outcomes(message)
        elif message.life is not self._life:
            return
        elif kind is Appended:
            self._on_appended(message)
        elif kind is Flush:
            self._flush()
        elif kind is Tick:
            self._on_tick()
        elif kind is Load:
            self._load_slice()
        elif kind is Obtained and message.transactional_id in self.machines:
            self._step(message.transactional_id, ProducerIdObtained(message.producer_id))

    def _to_myself(self, message: object) -> None:
        self.tell(self.path, message)

    # -- the replay ----------------------------------------------------------------------------------------------------

    def _load_slice(self) -> None:
        replay = self._replay
        assert replay is not None
        if not replay.is_read:
            for transactional_id, value in replay.next_slice():
                if value is None:
                    self.machines.pop(transactional_id, None)
                else:
                    self._machine(transactional_id).apply(value)
            self._to_myself(Load(self._life))
        elif replay.is_committed():
            self._become_active()

    def _become_active(self) -> None:
        if self.is_loaded or self.replica.leader is None:
            return
        self.is_loaded = True
        for transactional_id in list(self.machines):
            self._step(transactional_id, Loaded())
        while self._early:
            self._on_request(self._early.popleft()[0])

    # -- requests ------------------------------------------------------------------------------------------------------

    def _on_request(self, request: TransactionRequest) -> None:
        if not self.is_loaded:
            self._early.append((request, self.ports.now_ms()))
            self._ticks.arm(urgent=True)
            return
        machine = self.machines.get(request.transactional_id)
        if type(request.event) is InitProducerId and machine is not None and machine.state is not None:
            state = machine.state
            self.system.events.tell(
                "producer-fenced",
                f"transactional id {request.transactional_id}",
                cause=self.replica.cause,
                producer_id=state.producer_id,
                epoch=state.producer_epoch,
                was=state.status.label,
            )
        self._step(request.transactional_id, request.event)

    def _machine(self, transactional_id: str) -> TransactionMachine:
        machine = self.machines.get(transactional_id)
        if machine is None:
            limits = self.ports.limits()
            machine = TransactionMachine(limits.max_timeout_ms, limits.expiration_ms)
            self.machines[transactional_id] = machine
        return machine

    def _step(self, transactional_id: str, event: Event) -> None:
        machine = self._machine(transactional_id)
        self._perform(transactional_id, machine.step(event, self.ports.wall_ms()))
        if machine.needs_timer:
            self._timed[transactional_id] = None
            self._ticks.arm(urgent=bool(machine.queue))
        else:
            self._timed.pop(transactional_id, None)
            if machine.state is None:
                self.machines.pop(transactional_id, None)

    def _perform(self, transactional_id: str, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Answer:
                reply(effect.token, effect)
            elif type(effect) is Write:
                self._writes.append((transactional_id, effect.value))
                self._flush_soon()
            elif type(effect) is SendMarkers:
                # the decision is in the log: the end of the next transaction will have a larger number
                self._markers.add(transactional_id, effect, self.replica.log.log_end_offset)
                self._has_fresh_markers = True
                self._flush_soon()
            elif type(effect) is ObtainProducerId:
                self.spawn(self._obtain(transactional_id, self._life))
            elif type(effect) is Forget:
                logger.debug("transactional id %s expired", transactional_id)

    async def _obtain(self, transactional_id: str, life: object) -> None:
        self._to_myself(Obtained(life, transactional_id, await self.ports.next_producer_id()))

    # -- the log -------------------------------------------------------------------------------------------------------

    def _flush_soon(self) -> None:
        """What the messages of one turn want written travels as one batch."""
        if not self._will_flush:
            self._will_flush = True
            self._to_myself(Flush(self._life))

    def _flush(self) -> None:
        self._will_flush = False
        writes, self._writes = self._writes, []
        for start in range(0, len(writes), ROWS_PER_BATCH):
            rows = writes[start : start + ROWS_PER_BATCH]
            batch = transaction_log.encode(rows, self.ports.wall_ms())
            self.ports.append(self.replica, AppendRequest(batch, -1, self._when_appended([row[0] for row in rows])))
        if self._has_fresh_markers:
            self._has_fresh_markers = False
            self._send_markers()

    def _when_appended(self, transactional_ids: Sequence[str]) -> Callable[[AppendRequest], None]:
        life = self._life
        return lambda request: self._to_myself(Appended(life, transactional_ids, request.error))

    def _on_appended(self, message: Appended) -> None:
        if message.error in UNCERTAIN:
            logger.info("transaction coordinator %d replays its log: %s", self.partition, message.error.name)
            self._abandon()
            self._start_loading()
            return
        event = Written() if message.error in APPENDED else WriteRefused(for_clients(message.error))
        for transactional_id in message.transactional_ids:
            self._step(transactional_id, event)

    # -- markers -------------------------------------------------------------------------------------------------------

    def _on_outcomes(self, message: MarkersWritten) -> None:
        if message.coordinator_epoch == self.coordinator_epoch and self.is_loaded:
            self._markers_done(self._markers.on_outcomes(message))

    def _send_markers(self) -> None:
        self._markers_done(self._markers.send())
        if self._markers.is_busy:
            self._ticks.arm(urgent=True)

    def _markers_done(self, markers: Sequence[TransactionMarker]) -> None:
        for marker in markers:
            if marker.transactional_id in self.machines:
                event = MarkerWritten(marker.partition, marker.producer_id, marker.producer_epoch)
                self._step(marker.transactional_id, event)

    # -- time ----------------------------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        self._ticks.fired()
        now_ms = self.ports.now_ms()
        while self._early and now_ms - self._early[0][1] >= HOLD_WHILE_LOADING_MS:
            self._early.popleft()[0].refuse(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        if not self.is_loaded:
            self._to_myself(Load(self._life))
            self._ticks.arm(urgent=True)
            return
        if self._markers.is_busy:
            self._send_markers()
        for transactional_id in list(self._timed):
            self._step(transactional_id, TimerFired())
        if now_ms >= self._next_expiry_ms:
            self._next_expiry_ms = now_ms + self.ports.limits().expiration_check_ms
            for transactional_id in list(self.machines):
                self._step(transactional_id, TimerFired())
        if self._timed or self._early or self.machines:
            self._ticks.arm(urgent=self._markers.is_busy)
