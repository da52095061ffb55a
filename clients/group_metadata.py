"""Who a consumer is in its group: what a transaction needs to commit offsets on its behalf."""

from __future__ import annotations

from typing import NamedTuple

from clients.committed import Membership


class GroupMetadata(NamedTuple):
    """From `Consumer.group_metadata`."""

    group: str
    member: Membership = Membership()
