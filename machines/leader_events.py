"""What happens to a led partition, and what its machine wants done. Offsets are the next offset ("end") throughout."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Appended:
    """A batch (or several) is in the local log, which now ends at `log_end_offset`."""

    log_end_offset: int


@dataclass(frozen=True, slots=True)
class AwaitCommit:
    """A producer waits (acks=all) until the high watermark reaches `offset`; `token` comes back in Acknowledge."""

    offset: int
    token: object


@dataclass(frozen=True, slots=True)
class Followed:
    """A follower asks to be pushed to; `epoch_end` is our log's answer for its last epoch: (epoch, end offset)."""

    follower: int
    incarnation: int
    log_end_offset: int
    last_epoch: int
    epoch_end: tuple[int, int]
    attempt: int


@dataclass(frozen=True, slots=True)
class FollowerReplicated:
    """A follower's log ends at `log_end_offset`."""

    follower: int
    log_end_offset: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """The shell handed `size` bytes to the bus; the next push starts at `next_offset`."""

    follower: int
    next_offset: int
    size: int
    high_watermark: int


@dataclass(frozen=True, slots=True)
class CreditReturned:
    """The bus takes messages for this follower again."""

    follower: int


@dataclass(frozen=True, slots=True)
class FollowerGone:
    """The follower's process died or was cut off for good; a new incarnation will ask anew."""

    follower: int


@dataclass(frozen=True, slots=True)
class IsrCommitted:
    """The controller's word on this partition, same leader epoch."""

    isr: tuple[int, ...]
    replicas: tuple[int, ...]
    partition_epoch: int


@dataclass(frozen=True, slots=True)
class IsrRefused:
    """The controller refused the last proposal; its reason arrives as newer metadata."""


@dataclass(frozen=True, slots=True)
class LogStartMoved:
    """Retention or DeleteRecords moved the log start."""

    log_start_offset: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Some hundred milliseconds went by."""


Event = (
    Appended
    | AwaitCommit
    | Followed
    | FollowerReplicated
    | Pushed
    | CreditReturned
    | FollowerGone
    | IsrCommitted
    | IsrRefused
    | LogStartMoved
    | TimerFired
)


@dataclass(frozen=True, slots=True)
class Push:
    """Send what the log holds from `offset`, at most `max_bytes` (0: only the high watermark), then report Pushed."""

    follower: int
    offset: int
    max_bytes: int
    attempt: int  # of the Follow that began this push


@dataclass(frozen=True, slots=True)
class SendLead:
    """Tell the follower that we lead, so that it asks to be pushed to; FollowerGone when it can't be told."""

    follower: int


@dataclass(frozen=True, slots=True)
class SendDiverged:
    """Tell the follower where its last epoch ends here; it truncates and asks again."""

    follower: int
    epoch: int
    end_offset: int
    attempt: int


@dataclass(frozen=True, slots=True)
class SendStartAt:
    """Tell the follower to drop its log and start at ours."""

    follower: int
    log_start_offset: int
    attempt: int


@dataclass(frozen=True, slots=True)
class AdvanceHighWatermark:
    """Records below are committed: wake the readers."""

    high_watermark: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Answer the producer that waits under `token`."""

    token: object
    error: ErrorCode


@dataclass(frozen=True, slots=True)
class ProposeIsr:
    """Ask the controller for this ISR, if the partition is still at `partition_epoch` (KIP-497, KIP-841)."""

    isr: tuple[int, ...]
    incarnations: tuple[int, ...]  # of the members, -1 for ourselves
    partition_epoch: int


Effect = Push | SendLead | SendDiverged | SendStartAt | AdvanceHighWatermark | Acknowledge | ProposeIsr
