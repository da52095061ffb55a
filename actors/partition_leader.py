"""The actor that leads one partition: the shell around `machines.leader`.

It appends, pushes to the followers, advances the high watermark and answers producers. It lives as long as this broker
leads this epoch; when it crashes its supervisor starts a new one from the replica, and the producers that waited are
told to retry.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from actors.actor import Actor
from actors.append_request import AppendRequest, MarkerRequest
from actors.ports import ROUND, Buffer, ReplicaPorts
from actors.replica import Replica
from actors.transaction_gate import TransactionGate, Verified
from machines.leader import LeaderMachine
from machines.leader_events import (
    Acknowledge,
    AdvanceHighWatermark,
    Appended,
    AwaitCommit,
    CreditReturned,
    Effect,
    Followed,
    FollowerGone,
    FollowerReplicated,
    IsrCommitted,
    IsrRefused,
    LogStartMoved,
    ProposeIsr,
    Push,
    Pushed,
    SendDiverged,
    SendLead,
    SendStartAt,
    TimerFired,
)
from model.errors import ErrorCode, KafkaError, StorageFailure
from protocol.cluster_replication import Diverged, Follow, Lead, Replicate, Replicated, StartAt
from protocol.records import next_offset_of


class FromFollower(Struct, frozen=True):
    """A message of the follower on `broker_id`."""

    broker_id: int
    message: Follow | Replicated


class PartitionLeader(Actor):
    """Leads one partition in one leader epoch."""

    def __init__(self, replica: Replica, ports: ReplicaPorts) -> None:
        super().__init__()
        self.replica = replica
        self.ports = ports
        self.machine: LeaderMachine
        self.gate = TransactionGate(replica, ports, self._append)
        self._fresh: tuple[int, int, Buffer] = (-1, -1, b"")  # (base, next, bytes) of the last append

    def on_start(self) -> None:
        """Open the epoch in the log and tell the followers."""
        replica, info = self.replica, self.replica.info
        log = replica.log
        log.start_epoch(info.leader_epoch, log.log_end_offset)
        self.machine = LeaderMachine(
            broker_id=self.ports.broker_id,
            leader_epoch=info.leader_epoch,
            partition_epoch=info.partition_epoch,
            replicas=tuple(info.replicas),
            isr=tuple(info.isr),
            log_start_offset=log.log_start_offset,
            log_end_offset=log.log_end_offset,
            high_watermark=replica.high_watermark,
            min_insync_replicas=log.config.min_insync_replicas,
            lag_time_max_ms=self.ports.lag_time_max_ms,
            started_ms=self.ports.now_ms(),
            is_resumed=replica.led_epoch == info.leader_epoch,
        )
        replica.leader, replica.led_epoch = self, info.leader_epoch
        end = log.log_end_offset
        self.system.events.tell(
            "leading", str(replica.partition), cause=replica.cause, epoch=info.leader_epoch, log_end_offset=end
        )
        for follower in self.machine.progress:
            self._lead(follower)
        self._perform(self.machine.advance())
        self.ports.join_timer_round(replica)

    def on_receive(self, message: Any) -> None:
        """Requests of this broker and mail of the followers."""
        if type(message) is AppendRequest:
            if message.transactional_id is None or self.gate.admits(message):
                self._append(message)
        elif type(message) is FromFollower:
            self._on_mail(message.broker_id, message.message)
        elif message is ROUND:
            self._step(TimerFired())
            self.gate.on_round()
        elif type(message) is MarkerRequest:
            self._append(message)
            self.gate.on_marker(message.producer_id)
        elif type(message) is Verified:
            self.gate.on_answer(message)
        else:  # CreditReturned, FollowerGone, IsrCommitted, IsrRefused, LogStartMoved
            self.machine.min_insync_replicas = self.replica.log.config.min_insync_replicas
            self._step(message)
        if not self.machine.is_quiet or not self.gate.is_idle:
            self.ports.join_timer_round(self.replica)

    def on_stop(self) -> None:
        """The role ends: whoever waits must find the new leader."""
        self._dismiss(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def on_failure(self, *_: Any) -> None:
        """Crash: nothing that waits may hang."""
        self._dismiss(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    # -- records ---------------------------------------------------------------------------------------------------

    def _append(self, request: AppendRequest) -> None:
        machine, replica = self.machine, self.replica
        if replica.leader is not self:
            request.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            return
        machine.min_insync_replicas = replica.log.config.min_insync_replicas  # it may have been altered
        if request.acks == -1 and not machine.has_enough_replicas:
            request.answer(ErrorCode.NOT_ENOUGH_REPLICAS)
            return
        try:
            info = request.write_to(replica.log, machine.leader_epoch, self.ports.wall_ms())
        except StorageFailure as failure:
            request.answer(ErrorCode.KAFKA_STORAGE_ERROR, str(failure))
            self.ports.replica_failed(replica, failure)
            return
        except KafkaError as error:
            request.answer(error.code, str(error) or None)
            return
        request.base_offset = info.first_offset
        request.log_append_time_ms = info.log_append_time_ms
        request.log_start_offset = replica.log.log_start_offset
        end_offset = info.last_offset + 1
        if not info.is_duplicate:
            self._fresh = (info.first_offset, end_offset, info.batches)
            self._step(Appended(end_offset))
            self._fresh = (-1, -1, b"")
        if request.acks == -1:
            self._step(AwaitCommit(end_offset, request))
        else:
            request.answer(ErrorCode.NONE)

    def _dismiss(self, error: ErrorCode) -> None:
        if self.replica.leader is self:
            self.replica.leader = None
        machine = getattr(self, "machine", None)
        if machine is not None:
            while machine.waiting:
                request = machine.waiting.popleft()[1]
                assert isinstance(request, AppendRequest)
                request.answer(error)
        self.gate.dismiss(error)
        self.replica.wake()

    # -- followers -------------------------------------------------------------------------------------------------

    def _on_mail(self, follower: int, message: Follow | Replicated) -> None:
        if message.leader_epoch != self.machine.leader_epoch:
            return
        if type(message) is Replicated:
            self._step(FollowerReplicated(follower, message.log_end_offset))
            return
        assert isinstance(message, Follow)
        log, epoch_end = self.replica.log, (-1, -1)
        if message.last_epoch >= max(0, log.leader_epochs.first_epoch):
            epoch_end = log.end_offset_for_epoch(message.last_epoch)
        self._step(
            Followed(
                follower, message.incarnation, message.log_end_offset, message.last_epoch, epoch_end, message.attempt
            )
        )

    def _step(self, event: Any) -> None:
        self._perform(self.machine.step(event, self.ports.now_ms()))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Push:
                self._push(effect)
            elif type(effect) is AdvanceHighWatermark:
                self.replica.advance(effect.high_watermark)
            elif type(effect) is Acknowledge:
                assert isinstance(effect.token, AppendRequest)
                effect.token.answer(effect.error)
            elif type(effect) is ProposeIsr:
                self.ports.propose_isr(self.replica, effect.isr, effect.incarnations, effect.partition_epoch)
            elif type(effect) is SendLead:
                self._lead(effect.follower)
            elif type(effect) is SendDiverged:
                message = Diverged(self.machine.leader_epoch, effect.epoch, effect.end_offset, effect.attempt)
                self.ports.send(effect.follower, self.replica, message)
            elif type(effect) is SendStartAt:
                start = StartAt(self.machine.leader_epoch, effect.log_start_offset, effect.attempt)
                self.ports.send(effect.follower, self.replica, start)

    def _lead(self, follower: int) -> None:
        if not self.ports.send(follower, self.replica, Lead(self.machine.leader_epoch)):
            self.machine.step(FollowerGone(follower), self.ports.now_ms())

    def _push(self, push: Push) -> None:
        """Send what the log holds from there, and report how far that went; then go on while the window allows."""
        offset, next_offset, data = push.offset, push.offset, b""  # type: int, int, Buffer
        if offset < self.replica.log.log_start_offset:
            return  # gone since; LogStartMoved is in the inbox
        if push.max_bytes and offset < self.machine.log_end_offset:
            if self._fresh[0] == offset:
                _, next_offset, data = self._fresh
            else:
                try:
                    data = self.replica.log.read(offset, push.max_bytes, up_to=self.machine.log_end_offset)
                except StorageFailure as failure:
                    self.ports.replica_failed(self.replica, failure)
                    return
                next_offset = next_offset_of(data) if len(data) else offset
        high_watermark = self.machine.high_watermark
        start = self.replica.log.log_start_offset
        message = Replicate(self.machine.leader_epoch, offset, high_watermark, start, push.attempt)
        if not self.ports.send(push.follower, self.replica, message, (data,) if len(data) else ()):
            return
        self.machine.step(Pushed(push.follower, next_offset, len(data), high_watermark), self.ports.now_ms())
        if len(data) and next_offset < self.machine.log_end_offset:
            self._step(CreditReturned(push.follower))


__all__ = ["AppendRequest", "FromFollower", "LeaderMail", "MarkerRequest", "PartitionLeader"]

LeaderMail = CreditReturned | FollowerGone | IsrCommitted | IsrRefused | LogStartMoved
