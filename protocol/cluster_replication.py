"""What a leader and its followers say to each other, inside the cluster.

The leader pushes, the follower answers with its log end (DESIGN: one round trip for acks=all). Every message is
addressed to one replica of one partition and carries the leader epoch under which it was said: a replica that
lives in another epoch drops it (KIP-320's fencing, applied to our own wire).

Records travel as raw buffers beside `Replicate`, never inside it.
"""

from __future__ import annotations

import msgspec


class Follow(msgspec.Struct, tag="Follow", array_like=True, frozen=True, gc=False):
    """Follower → leader: "my log ends here, its last batch is of that epoch; push from there"."""

    leader_epoch: int
    log_end_offset: int  # -1: I have records of which I know no epoch, so nothing of them can be matched
    last_epoch: int  # -1: my log is empty
    incarnation: int
    attempt: int  # echoed by every answer, so that a late one neither truncates nor vouches for the log


class Lead(msgspec.Struct, tag="Lead", array_like=True, frozen=True, gc=False):
    """Leader → follower: "I lead this epoch, tell me where you are". Sent when a leader starts or was restarted."""

    leader_epoch: int


class Replicate(msgspec.Struct, tag="Replicate", array_like=True, frozen=True, gc=False):
    """Leader → follower: batches that continue the follower's log at `base_offset`; without buffers, only news."""

    leader_epoch: int
    base_offset: int
    high_watermark: int
    log_start_offset: int
    attempt: int  # of the Follow that it answers


class Replicated(msgspec.Struct, tag="Replicated", array_like=True, frozen=True, gc=False):
    """Follower → leader: everything below `log_end_offset` is in my log."""

    leader_epoch: int
    log_end_offset: int


class Diverged(msgspec.Struct, tag="Diverged", array_like=True, frozen=True, gc=False):
    """Leader → follower: my largest epoch at or below yours is `epoch`, and it ends at `end_offset` (KIP-101)."""

    leader_epoch: int
    epoch: int
    end_offset: int
    attempt: int


class StartAt(msgspec.Struct, tag="StartAt", array_like=True, frozen=True, gc=False):
    """Leader → follower: what you ask for is no longer kept; empty your log and start at `log_start_offset`."""

    leader_epoch: int
    log_start_offset: int
    attempt: int


ReplicationMessage = Follow | Lead | Replicate | Replicated | Diverged | StartAt
