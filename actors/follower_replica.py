"""The actor that follows one partition's leader: the shell around `machines.follower`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from actors.actor import Actor
from actors.ports import ROUND, Buffer, ReplicaPorts
from actors.replica import Replica
from machines.follower import (
    AppendBatches,
    AskToFollow,
    BatchesArrived,
    Confirm,
    DivergenceFound,
    Effect,
    FollowerMachine,
    LeaderAppeared,
    LogChanged,
    MoveHighWatermark,
    RestartAt,
    Started,
    StartMoved,
    TimerFired,
    TruncateTo,
)
from model.errors import StorageFailure
from protocol.cluster_replication import Diverged, Follow, Lead, Replicate, Replicated, StartAt
from protocol.records import iter_batches, parse_header


class FromLeader(Struct, frozen=True):
    """A message of the leader on `broker_id`, with the records that came beside it."""

    broker_id: int
    message: Lead | Replicate | Diverged | StartAt
    buffers: list[memoryview]


class FollowerReplica(Actor):
    """Follows one partition's leader through one leader epoch."""

    def __init__(self, replica: Replica, ports: ReplicaPorts) -> None:
        super().__init__()
        self.replica = replica
        self.ports = ports
        self.leader_id = replica.info.leader
        self.machine = FollowerMachine(
            leader_epoch=replica.info.leader_epoch,
            log_end_offset=replica.log.log_end_offset,
            last_epoch=replica.log.last_epoch,
            attempt=ports.first_number(),
        )

    def on_start(self) -> None:
        """Ask the leader to be pushed to."""
        self.replica.follower = self
        self._step(Started(), None)
        self.ports.join_timer_round(self.replica)

    def on_stop(self) -> None:
        """The role ends."""
        if self.replica.follower is self:
            self.replica.follower = None

    def on_failure(self, *_: Any) -> None:
        """Crash: the supervisor starts another one, which asks the leader anew."""
        self.on_stop()

    def on_receive(self, message: Any) -> None:
        """Mail of the leader."""
        if message is ROUND:
            self._step(TimerFired(), None)
        elif type(message) is FromLeader and message.broker_id == self.leader_id:
            self._on_mail(message)
        if not self.machine.is_quiet:
            self.ports.join_timer_round(self.replica)

    def _on_mail(self, mail: FromLeader) -> None:
        said = mail.message
        if type(said) is Replicate:
            data: Buffer | None = mail.buffers[0] if mail.buffers else None
            size = len(data) if data is not None else 0
            event = BatchesArrived(
                said.leader_epoch, said.base_offset, size, said.high_watermark, said.log_start_offset, said.attempt
            )
            self._step(event, data)
        elif type(said) is Lead:
            self._step(LeaderAppeared(said.leader_epoch), None)
        elif type(said) is Diverged:
            own = self.replica.log.end_offset_for_epoch(said.epoch) if said.epoch >= 0 else (-1, -1)
            self._step(DivergenceFound(said.leader_epoch, said.epoch, said.end_offset, own, said.attempt), None)
        elif type(said) is StartAt:
            self._step(StartMoved(said.leader_epoch, said.log_start_offset, said.attempt), None)

    def _step(self, event: Any, data: Buffer | None) -> None:
        try:
            self._perform(self.machine.step(event, self.ports.now_ms()), data)
        except StorageFailure as failure:
            self.ports.replica_failed(self.replica, failure)

    def _perform(self, effects: list[Effect], data: Buffer | None) -> None:
        replica, log, epoch = self.replica, self.replica.log, self.machine.leader_epoch
        for effect in effects:
            if type(effect) is AppendBatches:
                assert data is not None
                self._append(data, effect.from_offset)
                self._step(LogChanged(log.log_end_offset, log.last_epoch), None)
            elif type(effect) is Confirm:
                self.ports.send(self.leader_id, replica, Replicated(epoch, effect.log_end_offset))
            elif type(effect) is MoveHighWatermark:
                replica.advance(min(effect.high_watermark, log.log_end_offset))
                if effect.log_start_offset > log.log_start_offset and effect.log_start_offset <= log.log_end_offset:
                    log.advance_log_start(effect.log_start_offset)
            elif type(effect) is AskToFollow:
                knows_what_it_has = effect.last_epoch >= 0 or log.log_start_offset == log.log_end_offset
                log_end_offset = effect.log_end_offset if knows_what_it_has else -1
                message = Follow(
                    epoch, log_end_offset, effect.last_epoch, self.ports.incarnation, effect.attempt
                )
                self.ports.send(self.leader_id, replica, message)
            elif type(effect) is TruncateTo:
                before = log.log_end_offset
                self.ports.before_truncation(replica, log.segment_base(effect.offset))
                if effect.offset >= log.log_start_offset:
                    log.truncate_to(effect.offset)
                else:  # after an unclean election: the leader has less than we have deleted
                    log.truncate_fully_and_start_at(effect.offset)
                replica.high_watermark = min(replica.high_watermark, log.log_end_offset)
                self._tell_truncation(before)
                self._step(LogChanged(log.log_end_offset, log.last_epoch), None)
            elif type(effect) is RestartAt:
                before = log.log_end_offset
                self.ports.before_truncation(replica, effect.offset)
                log.truncate_fully_and_start_at(effect.offset)
                replica.high_watermark = effect.offset
                self._tell_truncation(before)
                self._step(LogChanged(log.log_end_offset, log.last_epoch), None)

    def _tell_truncation(self, before: int) -> None:
        replica, end = self.replica, self.replica.log.log_end_offset
        if end != before:
            self.system.events.tell(
                "truncated",
                str(replica.partition),
                cause=replica.cause,
                log_end_offset=end,
                was=before,
                epoch=self.machine.leader_epoch,
                leader=self.leader_id,
            )

    def _append(self, data: Buffer, offset: int) -> None:
        """Append those of the pushed batches that the log does not hold yet."""
        log = self.replica.log
        if parse_header(data).base_offset == offset:
            log.append_as_follower(data)
            return
        for header in iter_batches(data):
            if header.next_offset <= offset:
                continue
            if header.base_offset < offset and log.log_start_offset == log.log_end_offset:
                # the leader's log starts amid this batch (DeleteRecords), so ours begins with it, too
                self.ports.before_truncation(self.replica, header.base_offset)
                log.truncate_fully_and_start_at(header.base_offset)
            log.append_as_follower(memoryview(data)[header.position :] if header.position else data)
            return
