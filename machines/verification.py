"""Before a partition takes the first batch of a transaction, its coordinator must say that the transaction is open.

Without that a batch that was long under way could begin a transaction that nobody will ever end, and readers of
committed records would wait for ever (KIP-890). One machine per led partition; batches of one producer wait in their
order behind the one that is being verified. A marker that comes meanwhile makes the answer worthless: it is asked anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from model.errors import ErrorCode

ASK_AGAIN_MS = 1_000
RETRY_MS = 20
GIVE_UP_MS = 8_000
_TRY_AGAIN = (
    ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.REQUEST_TIMED_OUT,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A producer says: this is in my transaction. `adds`: the coordinator shall take the partition in."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    adds: bool
    first_sequence: int = -1  # -1: carries none


@dataclass(frozen=True, slots=True)
class Offered:
    """A batch came that begins a transaction here; `token` comes back in Admit or Refuse."""

    claim: Claim
    token: object


@dataclass(frozen=True, slots=True)
class Answered:
    """The coordinator's answer to the Ask of that number."""

    number: int
    error: ErrorCode


@dataclass(frozen=True, slots=True)
class MarkerSeen:
    """A marker of this producer was written here."""

    producer_id: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Some hundred milliseconds went by."""


Event = Offered | Answered | MarkerSeen | TimerFired


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the coordinator and report Answered with this number."""

    number: int
    claim: Claim


@dataclass(frozen=True, slots=True)
class Admit:
    """The transaction is open: append."""

    token: object


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the producer."""

    token: object
    error: ErrorCode


Effect = Ask | Admit | Refuse


@dataclass(slots=True)
class _Waiting:
    number: int
    claim: Claim
    since_ms: int
    ask_at_ms: int
    tokens: deque[tuple[Claim, object]] = field(default_factory=deque)


@dataclass(slots=True)
class VerificationMachine:
    """The producers of one partition that are being verified. Questions are numbered above `last_number`."""

    last_number: int = 0
    _waiting: dict[int, _Waiting] = field(default_factory=dict)
    _lowest_refused: dict[int, tuple[int, int]] = field(default_factory=dict)  # producer -> (epoch, first sequence)

    def __len__(self) -> int:
        return len(self._waiting)

    def holds(self, producer_id: int) -> bool:
        """Whether batches of this producer must wait behind others."""
        return producer_id in self._waiting

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event in and say what is to be done, in order."""
        match event:
            case Offered():
                return self._on_offered(event, now_ms)
            case Answered():
                return self._on_answered(event, now_ms)
            case MarkerSeen():
                self._lowest_refused.pop(event.producer_id, None)
                waiting = self._waiting.get(event.producer_id)
                return [] if waiting is None else [self._ask(waiting, now_ms)]
            case TimerFired():
                return self._on_timer(now_ms)

    def _on_offered(self, event: Offered, now_ms: int) -> list[Effect]:
        claim = event.claim
        waiting = self._waiting.get(claim.producer_id)
        if waiting is not None:
            waiting.tokens.append((claim, event.token))
            return []
        if self._leaves_a_gap(claim):
            return [Refuse(event.token, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)]
        waiting = _Waiting(0, claim, now_ms, now_ms)
        waiting.tokens.append((claim, event.token))
        self._waiting[claim.producer_id] = waiting
        return [self._ask(waiting, now_ms)]

    def _leaves_a_gap(self, claim: Claim) -> bool:
        """An earlier batch of the same epoch was refused: it has to come first."""
        epoch, sequence = self._lowest_refused.get(claim.producer_id, (-1, -1))
        return epoch == claim.producer_epoch and claim.first_sequence > sequence

    def _ask(self, waiting: _Waiting, now_ms: int) -> Effect:
        self.last_number += 1
        waiting.number = self.last_number
        waiting.ask_at_ms = now_ms + ASK_AGAIN_MS
        return Ask(waiting.number, waiting.claim)

    def _on_answered(self, event: Answered, now_ms: int) -> list[Effect]:
        waiting = next((each for each in self._waiting.values() if each.number == event.number), None)
        if waiting is None:
            return []
        if event.error in _TRY_AGAIN:
            waiting.ask_at_ms = now_ms + RETRY_MS
            return []
        del self._waiting[waiting.claim.producer_id]
        if event.error is not ErrorCode.NONE:
            return self._refuse(waiting, event.error)
        self._lowest_refused.pop(waiting.claim.producer_id, None)
        effects: list[Effect] = []
        while waiting.tokens and waiting.tokens[0][0].producer_epoch == waiting.claim.producer_epoch:
            effects.append(Admit(waiting.tokens.popleft()[1]))
        for claim, token in waiting.tokens:  # of another epoch: verified for itself
            effects += self._on_offered(Offered(claim, token), now_ms)
        return effects

    def _refuse(self, waiting: _Waiting, error: ErrorCode) -> list[Effect]:
        claim = waiting.claim
        if claim.first_sequence >= 0:
            self._lowest_refused[claim.producer_id] = (claim.producer_epoch, claim.first_sequence)
        return [Refuse(token, error) for _, token in waiting.tokens]

    def _on_timer(self, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for producer_id, waiting in list(self._waiting.items()):
            if now_ms - waiting.since_ms >= GIVE_UP_MS:
                del self._waiting[producer_id]
                effects += self._refuse(waiting, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            elif now_ms >= waiting.ask_at_ms:
                effects.append(self._ask(waiting, now_ms))
        return effects

    def dismiss(self) -> list[object]:
        """The role ends: the tokens of all that wait."""
        tokens = [token for waiting in self._waiting.values() for _, token in waiting.tokens]
        self._waiting.clear()
        return tokens

    def check(self) -> None:
        """Raises AssertionError unless whoever waits has been asked for."""
        for producer_id, waiting in self._waiting.items():
            assert waiting.tokens and waiting.claim.producer_id == producer_id
            assert waiting.number > 0
