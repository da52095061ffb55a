"""Offsets as callers give them, and the distance to the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clients.committed import OffsetAndMetadata
from model.ids import TopicPartition

if TYPE_CHECKING:
    from clients.consumer_core import ConsumerCore
    from clients.subscription import PartitionState


def as_offsets(given: Mapping[TopicPartition, OffsetAndMetadata | int]) -> dict[TopicPartition, OffsetAndMetadata]:
    """Plain numbers are offsets without metadata."""
    return {
        TopicPartition(*place): OffsetAndMetadata(wanted) if isinstance(wanted, int) else wanted
        for place, wanted in given.items()
    }


def positions_of(
    core: ConsumerCore, given: Mapping[TopicPartition, OffsetAndMetadata | int] | None
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Those given, or where the consumer is."""
    return core.positions() if given is None else as_offsets(given)


def lag_of(state: PartitionState, *, is_committed_only: bool) -> int | None:
    """Records between the position and the end as of the last fetch; None before the first."""
    end = state.last_stable_offset if is_committed_only and state.last_stable_offset >= 0 else state.high_watermark
    return None if end < 0 or state.position < 0 else max(0, end - state.position)
