"""The KafkaErrors of group coordinators, transaction coordinators and security; the tree is in `model/errors.py`."""

from __future__ import annotations

from model.errors import ErrorCode, KafkaError

# groups and their offsets


class CoordinatorLoadInProgress(KafkaError):
    """The coordinator is replaying its log; try again."""

    code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS


class CoordinatorNotAvailable(KafkaError):
    """No coordinator at the moment; look it up again."""

    code = ErrorCode.COORDINATOR_NOT_AVAILABLE


class NotCoordinator(KafkaError):
    """Another broker coordinates this id; look it up again."""

    code = ErrorCode.NOT_COORDINATOR


class InvalidGroupId(KafkaError):
    """An empty or malformed group id."""

    code = ErrorCode.INVALID_GROUP_ID


class GroupIdNotFound(KafkaError):
    """No group has this id."""

    code = ErrorCode.GROUP_ID_NOT_FOUND


class NonEmptyGroup(KafkaError):
    """The group has members, so it can't be deleted or changed in kind."""

    code = ErrorCode.NON_EMPTY_GROUP


class GroupMaxSizeReached(KafkaError):
    """The group has `group.max.size` members."""

    code = ErrorCode.GROUP_MAX_SIZE_REACHED


class GroupSubscribedToTopic(KafkaError):
    """Offsets of a topic that the group still reads can't be deleted."""

    code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC


class IllegalGeneration(KafkaError):
    """The member speaks of an earlier generation; it must rejoin."""

    code = ErrorCode.ILLEGAL_GENERATION


class InconsistentGroupProtocol(KafkaError):
    """The member's type or assignors don't match those of the group."""

    code = ErrorCode.INCONSISTENT_GROUP_PROTOCOL


class UnknownMemberId(KafkaError):
    """No such member, or its session ran out; it must rejoin."""

    code = ErrorCode.UNKNOWN_MEMBER_ID


class MemberIdRequired(KafkaError):
    """First join: the member must join again with the id it was given."""

    code = ErrorCode.MEMBER_ID_REQUIRED


class FencedInstanceId(KafkaError):
    """Another member uses this `group.instance.id`."""

    code = ErrorCode.FENCED_INSTANCE_ID


class UnreleasedInstanceId(KafkaError):
    """A live member holds this instance id; it must leave first."""

    code = ErrorCode.UNRELEASED_INSTANCE_ID


class FencedMemberEpoch(KafkaError):
    """The member's epoch is wrong; it drops its partitions and rejoins."""

    code = ErrorCode.FENCED_MEMBER_EPOCH


class StaleMemberEpoch(KafkaError):
    """A commit with an old member epoch; the next heartbeat brings the new one."""

    code = ErrorCode.STALE_MEMBER_EPOCH


class UnsupportedAssignor(KafkaError):
    """A server-side assignor we don't have."""

    code = ErrorCode.UNSUPPORTED_ASSIGNOR


class InvalidRegularExpression(KafkaError):
    """A subscription pattern that doesn't compile."""

    code = ErrorCode.INVALID_REGULAR_EXPRESSION


class InvalidSessionTimeout(KafkaError):
    """Outside `group.min.session.timeout.ms` and `group.max.session.timeout.ms`."""

    code = ErrorCode.INVALID_SESSION_TIMEOUT


class RebalanceInProgress(KafkaError):
    """The group rebalances; the member must rejoin."""

    code = ErrorCode.REBALANCE_IN_PROGRESS


class OffsetMetadataTooLarge(KafkaError):
    """Commit metadata above `offset.metadata.max.bytes`."""

    code = ErrorCode.OFFSET_METADATA_TOO_LARGE


class InvalidCommitOffsetSize(KafkaError):
    """A commit that doesn't fit into one batch."""

    code = ErrorCode.INVALID_COMMIT_OFFSET_SIZE


class UnstableOffsetCommit(KafkaError):
    """A transaction still holds offsets of this partition; try again."""

    code = ErrorCode.UNSTABLE_OFFSET_COMMIT


# transactions


class InvalidTxnState(KafkaError):
    """The step doesn't follow from the transaction's state."""

    code = ErrorCode.INVALID_TXN_STATE


class InvalidProducerIdMapping(KafkaError):
    """The producer id isn't that of the transactional id (any more)."""

    code = ErrorCode.INVALID_PRODUCER_ID_MAPPING


class InvalidTransactionTimeout(KafkaError):
    """Above `transaction.max.timeout.ms`."""

    code = ErrorCode.INVALID_TRANSACTION_TIMEOUT


class ConcurrentTransactions(KafkaError):
    """The transaction is being finished; try again."""

    code = ErrorCode.CONCURRENT_TRANSACTIONS


class TransactionCoordinatorFenced(KafkaError):
    """Markers from a coordinator that has been replaced."""

    code = ErrorCode.TRANSACTION_COORDINATOR_FENCED


class TransactionAbortable(KafkaError):
    """This transaction can't commit; abort it and go on."""

    code = ErrorCode.TRANSACTION_ABORTABLE


class TransactionalIdNotFound(KafkaError):
    """No transaction is known under this id."""

    code = ErrorCode.TRANSACTIONAL_ID_NOT_FOUND


# security


class ClusterAuthorizationFailed(KafkaError):
    """The principal may not do this to the cluster."""

    code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED


class TopicAuthorizationFailed(KafkaError):
    """The principal may not do this to the topic."""

    code = ErrorCode.TOPIC_AUTHORIZATION_FAILED


class GroupAuthorizationFailed(KafkaError):
    """The principal may not use this group."""

    code = ErrorCode.GROUP_AUTHORIZATION_FAILED


class TransactionalIdAuthorizationFailed(KafkaError):
    """The principal may not use this transactional id."""

    code = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


class SaslAuthenticationFailed(KafkaError):
    """Wrong credentials."""

    code = ErrorCode.SASL_AUTHENTICATION_FAILED


class UnsupportedSaslMechanism(KafkaError):
    """A SASL mechanism that isn't enabled."""

    code = ErrorCode.UNSUPPORTED_SASL_MECHANISM


class IllegalSaslState(KafkaError):
    """A request out of turn while authenticating."""

    code = ErrorCode.ILLEGAL_SASL_STATE


class SecurityDisabled(KafkaError):
    """No authorizer is configured."""

    code = ErrorCode.SECURITY_DISABLED
