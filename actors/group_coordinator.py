"""The actor of one group: the shell around `machines.group`.

It lives in the broker that leads the group's partition of `__consumer_offsets`, below that partition's shell
(`actors/offsets_partition.py`), and ends with it: whoever waits then is sent to the new coordinator.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.group_mail import WAKE, GroupCall, Resume, Wake
from actors.group_tickets import Ticket, refusal_code
from machines.group import Group
from machines.group_events import (
    NEVER_MS,
    Append,
    AppendInTransaction,
    Effect,
    ExpireOffsets,
    GroupRequest,
    Hold,
    Recall,
    Reply,
    TimerFired,
    TopicsChanged,
    TopicsDeleted,
    TransactionalAppended,
    TransactionEnded,
)
from model.errors import ErrorCode
from protocol.events import NOTHING

if TYPE_CHECKING:
    from actors.offsets_partition import OffsetsPartition


Mail = GroupCall | Ticket | Wake | Resume | ExpireOffsets | TopicsDeleted | TopicsChanged | TransactionEnded


_SETTLING_MS = 60_000
SURELY_IN_THE_LOG = (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)


class GroupCoordinator(Actor):
    """Coordinates one group."""

    def __init__(self, group: Group, partition: OffsetsPartition) -> None:
        super().__init__()
        self.group = group
        self.partition = partition
        self._open: dict[GroupCall, None] = {}  # taken in and not answered
        self._held: deque[Ticket | Reply] = deque()  # starts with a ticket; what follows waits for it
        self._resting: dict[str, GroupCall] = {}  # member -> its call that waits for news
        self._wake_ms = NEVER_MS
        self._generation = group.generation  # as last told
        self._members = self._member_ids()  # of that generation
        self._silent: set[str] = set()  # who was not heard since then
        self._moved_here_ms = partition.ports.now_ms() if self._members else NEVER_MS

    def on_start(self) -> None:
        """Arm what the replay left."""
        self._rearm()

    def on_receive(self, message: Mail) -> None:
        """Requests, the end of our appends, the alarm, and news of topics and transactions."""
        if type(message) is GroupCall:
            self._on_call(message)
        elif type(message) is Ticket:
            if message.owner is self:
                self._take_in(message)
                if message not in self._held and _is_missing(message):
                    self._start_anew(message.error)  # what stood before it timed out, and it was let go with that
                self._on_appended()
        elif type(message) is Resume:
            self._resume(message.call)
        else:
            self._on_news(message)
        if self.group.generation != self._generation:
            self._tell_rebalance()
        self._rearm()
        if self.group.is_blank and not self._open and not self._held:
            self.partition.forget(self.group.group_id)

    def on_stop(self) -> None:
        """This broker no longer coordinates the group."""
        self._refuse_all(ErrorCode.NOT_COORDINATOR)

    def on_failure(self, *_: Any) -> None:
        """What the machine knows can't be trusted: start anew from the log."""
        self._refuse_all(ErrorCode.NOT_COORDINATOR)
        self.partition.reload_soon()

    def _tell_rebalance(self) -> None:
        group = self.group
        self._generation = group.generation
        before, self._members = self._members, self._member_ids()
        silent, self._silent = self._silent, set()
        # what happens just after the group came from another broker, happens because it came
        since_ms = self.partition.ports.now_ms() - self._moved_here_ms
        self.system.events.tell(
            "rebalance",
            f"group {group.group_id}",
            cause=self.partition.replica.cause if 0 <= since_ms <= _SETTLING_MS else NOTHING,
            generation=group.generation,
            members=len(self._members),
            joined=sorted(self._members - before),
            left=sorted(before - self._members - silent),
            silent=sorted((before - self._members) & silent),
            protocol=group.group_type,
            state=group.state,
        )

    def _member_ids(self) -> set[str]:
        return set(self.group.consumer.members or self.group.classic.members)

    def _refuse_all(self, error: ErrorCode) -> None:
        waiting = list(self._open)
        self._open.clear()
        self._resting.clear()
        self._held.clear()
        for call in waiting:
            call.refuse(error)

    def is_appending_for(self, producer_id: int) -> bool:
        """Whether offsets of this producer's transaction are on their way into the log."""
        return any(
            isinstance(item, Ticket)
            and isinstance(item.effect, AppendInTransaction)
            and item.effect.producer_id == producer_id
            for item in self._held
        )

    # -- events in -----------------------------------------------------------------------------------------------------

    def _on_call(self, call: GroupCall) -> None:
        self._open[call] = None
        ports = self.partition.ports
        config = ports.config(self.group.group_id)
        if config is not self.group.config:
            self.group.configure(config)
        event = GroupRequest(
            call.body,
            call.version,
            call,
            call.client_id,
            call.client_host,
            ports.wall_ms(),
            call.fresh_id,
            call.may_wait,
            ports.topics,
            ports.pace_ms(self.group.group_id),
        )
        self._perform(self.group.step(event, ports.now_ms()))

    def _resume(self, call: GroupCall) -> None:
        """Take in again what was held; this time it is answered."""
        member_id = _member_of(call)
        if self._resting.get(member_id) is call:
            del self._resting[member_id]
            call.may_wait, call.resume = False, None
            self._on_call(call)

    def _on_news(self, message: Mail) -> None:
        ports = self.partition.ports
        now_ms = ports.now_ms()
        if type(message) is Wake:
            self._wake_ms = NEVER_MS
            head = self._held[0] if self._held else None
            if isinstance(head, Ticket) and now_ms >= head.deadline_ms:
                self._append_failed(ErrorCode.REQUEST_TIMED_OUT)
            before = self._member_ids()
            self._perform(self.group.step(TimerFired(ports.wall_ms(), ports.topics), now_ms))
            self._silent |= before - self._member_ids()
        elif isinstance(message, ExpireOffsets | TopicsDeleted | TopicsChanged | TransactionEnded):
            self._perform(self.group.step(message, now_ms))

    def _rearm(self) -> None:
        deadline_ms = self.group.next_deadline_ms
        if self._held:
            head = self._held[0]
            if isinstance(head, Ticket) and head.deadline_ms < deadline_ms:
                deadline_ms = head.deadline_ms
        if deadline_ms < self._wake_ms:
            self._wake_ms = deadline_ms
            self.partition.ports.alarms.set(deadline_ms, lambda: self._ring(deadline_ms))

    def _ring(self, deadline_ms: int) -> None:
        if self._wake_ms == deadline_ms and not self.actor_stopped.is_set():
            self.tell(self.path, WAKE)

    # -- effects out ---------------------------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Append | AppendInTransaction):
                ticket = Ticket(self, effect, self.partition.ports.now_ms() + self.partition.ports.commit_timeout_ms)
                self._held.append(ticket)
                self.partition.append(effect, ticket.done)
            elif isinstance(effect, Hold):
                self._rest(effect)
            elif isinstance(effect, Recall):
                for call in self._resting.values():
                    self.tell(self.path, Resume(call))
            else:
                assert isinstance(effect, Reply)
                if self._held and not effect.is_urgent:
                    self._held.append(effect)
                else:
                    self._answer(effect)

    def _rest(self, hold: Hold) -> None:
        call = hold.token
        assert isinstance(call, GroupCall)
        member_id = _member_of(call)
        former = self._resting.get(member_id)
        self._resting[member_id] = call
        if former is not None:  # it beats again over a new connection
            former.may_wait, former.resume = False, None
            self._on_call(former)

        def resume() -> None:
            if self._resting.get(member_id) is call:
                self.tell(self.path, Resume(call))

        call.resume = resume
        self.partition.ports.alarms.set(self.partition.ports.now_ms() + hold.wait_ms, resume)

    def _answer(self, reply: Reply) -> None:
        call = reply.token
        assert isinstance(call, GroupCall)
        self._open.pop(call, None)
        call.answer(reply.response)

    def _take_in(self, ticket: Ticket) -> None:
        """A transaction's offsets count as soon as they are in the log, though answers before theirs may still wait:
        the marker that ends the transaction may stand right behind them."""
        if isinstance(ticket.effect, AppendInTransaction) and ticket.error is ErrorCode.NONE:
            self._perform(self.group.step(TransactionalAppended(ticket.effect), self.partition.ports.now_ms()))

    def _on_appended(self) -> None:
        """Answer what waited for appends that are done, in order."""
        held = self._held
        while held:
            head = held[0]
            if isinstance(head, Reply):
                self._answer(head)
            elif not head.is_done:
                return
            elif head.error is not ErrorCode.NONE:
                if isinstance(head.effect, Append):
                    self._append_failed(head.error)
                    return
                held.popleft()
                while held and isinstance(held[0], Reply):
                    self._refuse(held.popleft(), head.error)  # type: ignore[arg-type]
                continue
            held.popleft()

    def _start_anew(self, error: ErrorCode) -> None:
        self._refuse_all(refusal_code(error))
        self.partition.reload_soon()

    def _append_failed(self, error: ErrorCode) -> None:
        """Refuse all that waits behind the append; start anew from the log unless the record is surely in it."""
        missing = next((item for item in self._held if isinstance(item, Ticket) and _is_missing(item)), None)
        if error not in SURELY_IN_THE_LOG or missing is not None:
            self._start_anew(error if missing is None else missing.error)
            return
        held, self._held = self._held, deque()
        for item in held:
            if isinstance(item, Reply):
                self._refuse(item, error)

    def _refuse(self, reply: Reply, error: ErrorCode) -> None:
        call = reply.token
        assert isinstance(call, GroupCall)
        self._open.pop(call, None)
        call.refuse(refusal_code(error))


def _member_of(call: GroupCall) -> str:
    member_id: str = call.body.member_id  # type: ignore[union-attr, assignment]
    return member_id


def _is_missing(ticket: Ticket) -> bool:
    """The machine has applied it, and it is not in the log."""
    is_refused = ticket.is_done and ticket.error not in (ErrorCode.NONE, *SURELY_IN_THE_LOG)
    return is_refused and isinstance(ticket.effect, Append)
