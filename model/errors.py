"""Every exception of the rooms, and what the user can do about it.

OdradekError
├── ConfigError          a bad key, value or data directory: the CLI prints it as one line and exits with 2
├── StorageFailure       the disk failed: the partition goes offline on this broker, the others go on
└── KafkaError           has a code for the wire; `kafka_error(code)` gives the class that belongs to a code
    ├── one class per code that partitions, topics and the cluster use: here
    └── those of groups, transactions and security: `model/coordinator_errors.py`
"""

from __future__ import annotations

from model.error_codes import ErrorCode as ErrorCode


class OdradekError(Exception):
    """Root of all that we raise on purpose; any other exception is a bug and escalates to the actor's supervisor."""


class ConfigError(OdradekError):
    """The cluster can't start like this. The message is one line that says what is wrong and how to mend it."""


class StorageFailure(OdradekError):
    """A full disk or an I/O error. Raised by storage only; on the wire it becomes KAFKA_STORAGE_ERROR."""


_CLASSES: dict[ErrorCode, type[KafkaError]] = {}


class KafkaError(OdradekError):
    """An answer that a client understands. Subclasses fix the code; use this one for codes without a class."""

    code: ErrorCode = ErrorCode.UNKNOWN_SERVER_ERROR

    def __init__(self, message: str = "", *, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    def __init_subclass__(cls) -> None:
        _CLASSES.setdefault(cls.code, cls)

    @property
    def message(self) -> str | None:
        """For `error_message` fields: None when there is nothing to say beyond the code."""
        return str(self.args[0]) or None

    def __str__(self) -> str:
        return f"{self.code.name}: {self.args[0]}" if self.args[0] else self.code.name


def kafka_error(code: int, message: str = "") -> KafkaError:
    """The exception for a code that came over the wire; unknown codes count as UNKNOWN_SERVER_ERROR."""
    import model.coordinator_errors  # noqa: F401 (registers its classes; at the top it would be a circle)

    try:
        known = ErrorCode(code)
    except ValueError:
        return UnknownServerError(f"error code {code}: {message}".rstrip(": "))
    found = _CLASSES.get(known)
    return found(message) if found is not None else KafkaError(message, code=known)


class UnknownServerError(KafkaError):
    """A bug on our side; the broker's log has the traceback."""

    code = ErrorCode.UNKNOWN_SERVER_ERROR


class OffsetOutOfRange(KafkaError):
    """A fetch, truncation or deletion outside the log; the consumer's reset policy decides."""

    code = ErrorCode.OFFSET_OUT_OF_RANGE


class CorruptMessage(KafkaError):
    """A batch whose CRC, length or layout is wrong; the producer sends it again."""

    code = ErrorCode.CORRUPT_MESSAGE


class UnknownTopicOrPartition(KafkaError):
    """This cluster or this broker has no such partition; refresh the metadata, or create it."""

    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


class UnknownTopicId(KafkaError):
    """No topic has this id: deleted, or created anew under the same name."""

    code = ErrorCode.UNKNOWN_TOPIC_ID


class InconsistentTopicId(KafkaError):
    """The id in the request isn't that of the local log: the topic was deleted and created anew."""

    code = ErrorCode.INCONSISTENT_TOPIC_ID


class LeaderNotAvailable(KafkaError):
    """The partition has no leader at the moment; try again after the election."""

    code = ErrorCode.LEADER_NOT_AVAILABLE


class NotLeaderOrFollower(KafkaError):
    """This broker doesn't lead the partition (any more); refresh the metadata."""

    code = ErrorCode.NOT_LEADER_OR_FOLLOWER


class RequestTimedOut(KafkaError):
    """The replicas or another broker didn't answer in the request's time; the outcome is open."""

    code = ErrorCode.REQUEST_TIMED_OUT


class MessageTooLarge(KafkaError):
    """A batch above `max.message.bytes`; raise it, or the producer sends smaller batches."""

    code = ErrorCode.MESSAGE_TOO_LARGE


class RecordListTooLarge(KafkaError):
    """Batches that don't fit into one segment; raise `segment.bytes`."""

    code = ErrorCode.RECORD_LIST_TOO_LARGE


class NotEnoughReplicas(KafkaError):
    """acks=all with fewer in-sync replicas than `min.insync.replicas`; nothing was written."""

    code = ErrorCode.NOT_ENOUGH_REPLICAS


class NotEnoughReplicasAfterAppend(KafkaError):
    """As NotEnoughReplicas, but the ISR shrank after the append; the outcome is open."""

    code = ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND


class InvalidRequiredAcks(KafkaError):
    """acks must be -1, 0 or 1."""

    code = ErrorCode.INVALID_REQUIRED_ACKS


class FencedLeaderEpoch(KafkaError):
    """The sender knows an older leader epoch than we do; it must refresh its metadata."""

    code = ErrorCode.FENCED_LEADER_EPOCH


class UnknownLeaderEpoch(KafkaError):
    """The sender knows a newer leader epoch than we do; it tries again when we have caught up."""

    code = ErrorCode.UNKNOWN_LEADER_EPOCH


class OffsetNotAvailable(KafkaError):
    """A new leader's high watermark hasn't reached its epoch's start yet; try again."""

    code = ErrorCode.OFFSET_NOT_AVAILABLE


class KafkaStorageError(KafkaError):
    """The partition is offline here after a disk failure; see the broker's log, mend the disk."""

    code = ErrorCode.KAFKA_STORAGE_ERROR


class LogDirNotFound(KafkaError):
    """A log directory this broker doesn't have."""

    code = ErrorCode.LOG_DIR_NOT_FOUND


class OutOfOrderSequenceNumber(KafkaError):
    """A gap in an idempotent producer's sequence numbers."""

    code = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


class DuplicateSequenceNumber(KafkaError):
    """An idempotent batch older than the last five: written before, its offset forgotten."""

    code = ErrorCode.DUPLICATE_SEQUENCE_NUMBER


class InvalidProducerEpoch(KafkaError):
    """A newer instance of this producer exists; this one is fenced."""

    code = ErrorCode.INVALID_PRODUCER_EPOCH


class ProducerFenced(KafkaError):
    """As InvalidProducerEpoch, said by the transaction coordinator."""

    code = ErrorCode.PRODUCER_FENCED


class UnknownProducerId(KafkaError):
    """Nothing is known about this producer id; it expired (`producer.id.expiration.ms`)."""

    code = ErrorCode.UNKNOWN_PRODUCER_ID


class InvalidRecord(KafkaError):
    """A record the topic refuses: no key on a compacted topic, or counts and offsets that contradict."""

    code = ErrorCode.INVALID_RECORD


class InvalidTimestamp(KafkaError):
    """A timestamp outside `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`."""

    code = ErrorCode.INVALID_TIMESTAMP


class UnsupportedForMessageFormat(KafkaError):
    """Batches of magic 0 or 1; only magic 2 (Kafka 0.11 and later) is taken."""

    code = ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT


class UnsupportedCompressionType(KafkaError):
    """A codec that this version of the request may not carry (zstd before Produce v7)."""

    code = ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


class UnsupportedVersion(KafkaError):
    """A version of an API, or a field in a version, that isn't served."""

    code = ErrorCode.UNSUPPORTED_VERSION


class InvalidRequest(KafkaError):
    """A request that contradicts itself."""

    code = ErrorCode.INVALID_REQUEST


class OperationNotAttempted(KafkaError):
    """Left undone because another part of the same request failed."""

    code = ErrorCode.OPERATION_NOT_ATTEMPTED


class FetchSessionIdNotFound(KafkaError):
    """No such fetch session (we keep none, or it was evicted); the client starts a full fetch."""

    code = ErrorCode.FETCH_SESSION_ID_NOT_FOUND


class InvalidFetchSessionEpoch(KafkaError):
    """A fetch session's epoch out of step; the client starts a full fetch."""

    code = ErrorCode.INVALID_FETCH_SESSION_EPOCH


class InvalidTopic(KafkaError):
    """A name Kafka forbids (empty, '.', '..', over 249 characters, other than [a-zA-Z0-9._-]), or an internal topic."""

    code = ErrorCode.INVALID_TOPIC_EXCEPTION


class TopicAlreadyExists(KafkaError):
    """The topic exists, or one that differs in '.' and '_' only."""

    code = ErrorCode.TOPIC_ALREADY_EXISTS


class TopicDeletionDisabled(KafkaError):
    """`delete.topic.enable` is false."""

    code = ErrorCode.TOPIC_DELETION_DISABLED


class InvalidPartitions(KafkaError):
    """A number of partitions below 1, or below what the topic has."""

    code = ErrorCode.INVALID_PARTITIONS


class InvalidReplicationFactor(KafkaError):
    """A replication factor below 1 or above the number of brokers."""

    code = ErrorCode.INVALID_REPLICATION_FACTOR


class InvalidReplicaAssignment(KafkaError):
    """A replica list that is empty, has doubles or unknown brokers."""

    code = ErrorCode.INVALID_REPLICA_ASSIGNMENT


class InvalidConfig(KafkaError):
    """A config that doesn't exist or a value it can't have."""

    code = ErrorCode.INVALID_CONFIG


class PolicyViolation(KafkaError):
    """Forbidden by a rule of this cluster."""

    code = ErrorCode.POLICY_VIOLATION


class NotController(KafkaError):
    """This broker isn't the controller (any more); ask the others."""

    code = ErrorCode.NOT_CONTROLLER


class StaleControllerEpoch(KafkaError):
    """The sender is a controller that has been replaced."""

    code = ErrorCode.STALE_CONTROLLER_EPOCH


class StaleBrokerEpoch(KafkaError):
    """An earlier incarnation of a broker speaks; it must register anew."""

    code = ErrorCode.STALE_BROKER_EPOCH


class BrokerIdNotRegistered(KafkaError):
    """The controller doesn't know this broker (yet)."""

    code = ErrorCode.BROKER_ID_NOT_REGISTERED


class BrokerNotAvailable(KafkaError):
    """The broker asked for is down or unknown."""

    code = ErrorCode.BROKER_NOT_AVAILABLE


class ReplicaNotAvailable(KafkaError):
    """The replica asked for is down or still being made."""

    code = ErrorCode.REPLICA_NOT_AVAILABLE


class InvalidUpdateVersion(KafkaError):
    """A compare-and-set lost against a later change of the partition; read it and propose again."""

    code = ErrorCode.INVALID_UPDATE_VERSION


class IneligibleReplica(KafkaError):
    """A proposed ISR holds a broker that is down or shutting down."""

    code = ErrorCode.INELIGIBLE_REPLICA


class NewLeaderElected(KafkaError):
    """The ISR change succeeded and, with it, another broker became leader."""

    code = ErrorCode.NEW_LEADER_ELECTED


class PreferredLeaderNotAvailable(KafkaError):
    """The first replica is down or out of sync, so it can't lead."""

    code = ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE


class EligibleLeadersNotAvailable(KafkaError):
    """No replica that may lead is up."""

    code = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE


class ElectionNotNeeded(KafkaError):
    """The partition has the leader that was asked for."""

    code = ErrorCode.ELECTION_NOT_NEEDED


class ReassignmentInProgress(KafkaError):
    """The partition is moving already; wait or cancel."""

    code = ErrorCode.REASSIGNMENT_IN_PROGRESS


class NoReassignmentInProgress(KafkaError):
    """There is no reassignment to cancel."""

    code = ErrorCode.NO_REASSIGNMENT_IN_PROGRESS


class ResourceNotFound(KafkaError):
    """The named resource doesn't exist."""

    code = ErrorCode.RESOURCE_NOT_FOUND


class DuplicateResource(KafkaError):
    """One request names a resource twice."""

    code = ErrorCode.DUPLICATE_RESOURCE


class ThrottlingQuotaExceeded(KafkaError):
    """Above the client's quota; it tries again after the throttle time."""

    code = ErrorCode.THROTTLING_QUOTA_EXCEEDED


class InconsistentClusterId(KafkaError):
    """The request is meant for another cluster."""

    code = ErrorCode.INCONSISTENT_CLUSTER_ID


class FeatureUpdateFailed(KafkaError):
    """A feature level that can't be set."""

    code = ErrorCode.FEATURE_UPDATE_FAILED
