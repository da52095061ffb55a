"""What happens to a led partition, and what its machine wants done. Offsets are the next offset ("end") throughout.

Structs of msgspec, not frozen dataclasses: a dozen are made for every record batch, and these cost a quarter.
"""

from __future__ import annotations

from msgspec import Struct

from model.errors import ErrorCode


class Appended(Struct, frozen=True):
    """A batch (or several) is in the local log, which now ends at `log_end_offset`."""

    log_end_offset: int


class AwaitCommit(Struct, frozen=True):
    """A producer waits (acks=all) until the high watermark reaches `offset`; `token` comes back in Acknowledge."""

    offset: int
    token: object


class Followed(Struct, frozen=True):
    """A follower asks to be pushed to; `epoch_end` is our log's answer for its last epoch: (epoch, end offset)."""

    follower: int
    incarnation: int
    log_end_offset: int
    last_epoch: int
    epoch_end: tuple[int, int]
    attempt: int


class FollowerReplicated(Struct, frozen=True):
    """A follower's log ends at `log_end_offset`."""

    follower: int
    log_end_offset: int


class Pushed(Struct, frozen=True):
    """The shell handed `size` bytes to the bus; the next push starts at `next_offset`."""

    follower: int
    next_offset: int
    size: int
    high_watermark: int


class CreditReturned(Struct, frozen=True):
    """The bus takes messages for this follower again."""

    follower: int


class FollowerGone(Struct, frozen=True):
    """The follower's process died or was cut off for good; a new incarnation will ask anew."""

    follower: int


class IsrCommitted(Struct, frozen=True):
    """The controller's word on this partition, same leader epoch."""

    isr: tuple[int, ...]
    replicas: tuple[int, ...]
    partition_epoch: int


class IsrRefused(Struct, frozen=True):
    """The controller refused the last proposal; its reason arrives as newer metadata."""


class LogStartMoved(Struct, frozen=True):
    """Retention or DeleteRecords moved the log start."""

    log_start_offset: int


class TimerFired(Struct, frozen=True):
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


class Push(Struct, frozen=True):
    """Send what the log holds from `offset`, at most `max_bytes` (0: only the high watermark), then report Pushed."""

    follower: int
    offset: int
    max_bytes: int
    attempt: int  # of the Follow that began this push


class SendLead(Struct, frozen=True):
    """Tell the follower that we lead, so that it asks to be pushed to; FollowerGone when it can't be told."""

    follower: int


class SendDiverged(Struct, frozen=True):
    """Tell the follower where its last epoch ends here; it truncates and asks again."""

    follower: int
    epoch: int
    end_offset: int
    attempt: int


class SendStartAt(Struct, frozen=True):
    """Tell the follower to drop its log and start at ours."""

    follower: int
    log_start_offset: int
    attempt: int


class AdvanceHighWatermark(Struct, frozen=True):
    """Records below are committed: wake the readers."""

    high_watermark: int


class Acknowledge(Struct, frozen=True):
    """Answer the producer that waits under `token`."""

    token: object
    error: ErrorCode


class ProposeIsr(Struct, frozen=True):
    """Ask the controller for this ISR, if the partition is still at `partition_epoch` (KIP-497, KIP-841)."""

    isr: tuple[int, ...]
    incarnations: tuple[int, ...]  # of the members, -1 for ourselves
    partition_epoch: int


Effect = Push | SendLead | SendDiverged | SendStartAt | AdvanceHighWatermark | Acknowledge | ProposeIsr
