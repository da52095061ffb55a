"""What happens to a group, and what its machine wants done.

Clients' requests come in as they were decoded; what goes out is the response to encode. `now_ms` of a step is
monotonic and times sessions; `wall_ms` of an event is milliseconds since 1970 and goes into records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from machines.topic_view import NO_TOPICS, TopicView
from model.configs import BrokerConfig
from model.error_codes import ErrorCode
from protocol.codec import Message, Struct

NEVER_MS = 1 << 62
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """The broker configs that a group obeys."""

    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    max_size: int = 0x7FFFFFFF
    initial_rebalance_delay_ms: int = 0
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_ms: int = 7 * 24 * 3_600_000
    consumer_session_timeout_ms: int = 45_000
    consumer_heartbeat_interval_ms: int = 5_000
    consumer_max_size: int = 0x7FFFFFFF
    consumer_assignors: tuple[str, ...] = ("uniform", "range")
    may_upgrade: bool = True
    may_downgrade: bool = True

    @classmethod
    def of(cls, config: BrokerConfig, overrides: Mapping[str, str] = NOTHING) -> GroupConfig:
        """The broker's, and what was set for the one group (`model/group_configs.py`), which is checked already."""
        policy = config.get_str("group.consumer.migration.policy").lower()
        return cls(
            min_session_timeout_ms=config.get_int("group.min.session.timeout.ms"),
            max_session_timeout_ms=config.get_int("group.max.session.timeout.ms"),
            max_size=config.get_int("group.max.size"),
            initial_rebalance_delay_ms=config.get_int("group.initial.rebalance.delay.ms"),
            offset_metadata_max_bytes=config.get_int("offset.metadata.max.bytes"),
            offsets_retention_ms=config.get_int("offsets.retention.minutes") * 60_000,
            consumer_session_timeout_ms=int(
                overrides.get("consumer.session.timeout.ms", config.get_int("group.consumer.session.timeout.ms"))
            ),
            consumer_heartbeat_interval_ms=int(
                overrides.get("consumer.heartbeat.interval.ms", config.get_int("group.consumer.heartbeat.interval.ms"))
            ),
            consumer_max_size=config.get_int("group.consumer.max.size"),
            consumer_assignors=tuple(config.get_list("group.consumer.assignors")),
            may_upgrade=policy in ("upgrade", "bidirectional"),
            may_downgrade=policy in ("downgrade", "bidirectional"),
        )


# -- events ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class GroupRequest:
    """A client's request to this one group; `token` comes back in the Reply.

    `body` is a JoinGroup-, SyncGroup-, Heartbeat-, LeaveGroup-, OffsetCommit-, TxnOffsetCommit-, OffsetDelete- or
    ConsumerGroupHeartbeatRequest, or a FetchOffsets or DeleteGroup. Topics in it are named, exist, and are not given by
    id. `fresh_id` is random: the machine makes a member id of it when one is needed. `may_wait`: the answer to a
    heartbeat may be held. `pace_ms`: how soon the broker can afford the next heartbeat of a KIP-848 member.
    """

    body: Struct | FetchOffsets | DeleteGroup
    version: int
    token: object
    client_id: str = ""
    client_host: str = ""
    wall_ms: int = 0
    fresh_id: str = ""
    may_wait: bool = False
    topics: TopicView = NO_TOPICS
    pace_ms: int = NEVER_MS


@dataclass(frozen=True, slots=True)
class FetchOffsets:
    """One group's part of an OffsetFetch; `topics` None asks for everything. Answered with OffsetFetchResponseGroup."""

    topics: list[tuple[str, list[int]]] | None
    require_stable: bool = False
    member_id: str | None = None
    member_epoch: int = -1


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    """One group of a DeleteGroups. Answered with an ErrorCode."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """`next_deadline_ms` has come (or some other time: the machine looks for itself)."""

    wall_ms: int
    topics: TopicView = NO_TOPICS


@dataclass(frozen=True, slots=True)
class ExpireOffsets:
    """The retention round: forget what nobody reads any more."""

    wall_ms: int


@dataclass(frozen=True, slots=True)
class TopicsDeleted:
    """These topics are gone, and with them what was committed for them."""

    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class TopicsChanged:
    """Topics came, went or grew."""

    topics: TopicView
    wall_ms: int


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """A marker of this producer is in the log of our partition of `__consumer_offsets`."""

    producer_id: int
    is_commit: bool


@dataclass(frozen=True, slots=True)
class TransactionalAppended:
    """What an AppendInTransaction asked for is in the log."""

    append: AppendInTransaction


Event = (
    GroupRequest
    | TimerFired
    | ExpireOffsets
    | TopicsDeleted
    | TopicsChanged
    | TransactionalAppended
    | TransactionEnded
)

# -- effects -----------------------------------------------------------------------------------------------------------


class GroupRecord(NamedTuple):
    """A record for `__consumer_offsets`; `value` None is a tombstone, `version` that of the value."""

    key: Message
    value: Message | None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Append:
    """Write these records, all or none; the machine has applied them already.

    Replies that come after it, in this step or a later one, wait until it is durable. If it fails, the group is to be
    replayed.
    """

    records: tuple[GroupRecord, ...]


@dataclass(frozen=True, slots=True)
class AppendInTransaction:
    """Write these records as part of the producer's transaction, and report TransactionalAppended.

    They are not applied yet, for the partition's leader may well refuse them; replies wait as for Append.
    `transaction_version` is as in AppendRequest.
    """

    records: tuple[GroupRecord, ...]
    producer_id: int
    producer_epoch: int
    transactional_id: str
    transaction_version: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the request that came with `token`. `is_urgent`: it says nothing of durable state and waits for none."""

    token: object
    response: Struct | ErrorCode
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing is new for the request that came with `token`: bring it again, with `may_wait` False, after `wait_ms`,
    at a Recall, or as soon as its client sends anything else."""

    token: object
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Recall:
    """There are news for everyone: bring all that is held again."""


Effect = Append | AppendInTransaction | Reply | Hold | Recall
