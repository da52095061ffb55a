"""What happens to a transactional id, and what its machine wants done."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.internal_topics import TransactionLogValue

# -- requests; `token` comes back in the Answer ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InitProducerId:
    """A client starts, or (with the id and epoch it holds) asks for the next epoch, KIP-360."""

    token: object
    timeout_ms: int
    producer_id: int = -1
    producer_epoch: int = -1


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """Take partitions into the transaction, opening one if need be. `version` 2: on the client's behalf (KIP-890)."""

    token: object
    producer_id: int
    producer_epoch: int
    partitions: frozenset[TopicPartition]
    version: int = 0


@dataclass(frozen=True, slots=True)
class VerifyPartitions:
    """Are these in the open transaction?"""

    token: object
    producer_id: int
    producer_epoch: int
    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class EndTransaction:
    """Commit or abort. `version` 2: the client takes its next epoch from the answer (EndTxn v5)."""

    token: object
    producer_id: int
    producer_epoch: int
    is_commit: bool
    version: int = 0


Request = InitProducerId | AddPartitions | VerifyPartitions | EndTransaction

# -- what the shell reports --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProducerIdObtained:
    """The answer to ObtainProducerId; None: there is none to be had now."""

    producer_id: int | None


@dataclass(frozen=True, slots=True)
class Written:
    """The record of the last Write is committed."""


@dataclass(frozen=True, slots=True)
class WriteRefused:
    """The record of the last Write is not in the log and never will be."""

    error: ErrorCode


@dataclass(frozen=True, slots=True)
class Loaded:
    """The replay is over: go on with what was under way."""


@dataclass(frozen=True, slots=True)
class MarkerWritten:
    """The marker of this producer is committed in the partition, or the partition is gone."""

    partition: TopicPartition
    producer_id: int
    producer_epoch: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Some time went by."""


Event = Request | ProducerIdObtained | Written | WriteRefused | Loaded | MarkerWritten | TimerFired

# -- effects -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write:
    """Append this to the log (None: a tombstone) and report Written or WriteRefused. One at a time."""

    value: TransactionLogValue | None


@dataclass(frozen=True, slots=True)
class ObtainProducerId:
    """Get a fresh producer id and report ProducerIdObtained."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the request of `token`; `absent` are the verified partitions that are not in the transaction."""

    token: object
    error: ErrorCode = ErrorCode.NONE
    producer_id: int = -1
    producer_epoch: int = -1
    absent: frozenset[TopicPartition] = frozenset()


@dataclass(frozen=True, slots=True)
class SendMarkers:
    """Have a marker written in each of the partitions, for as long as it takes."""

    producer_id: int
    producer_epoch: int
    is_commit: bool
    version: int
    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class Forget:
    """The transactional id is gone from the log."""


Effect = Write | ObtainProducerId | Answer | SendMarkers | Forget
