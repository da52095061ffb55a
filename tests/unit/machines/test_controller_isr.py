"""AlterIsr is a compare-and-set: every reason to say no."""

import pytest
from controllers import TestController

from model.errors import ErrorCode


@pytest.fixture
def controller():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    return controller


def test_the_leader_shrinks_and_grows_the_isr(controller):
    shrunk = controller.propose_isr((1, 2))
    assert (shrunk.error, shrunk.isr, shrunk.leader_epoch, shrunk.partition_epoch) == (0, (1, 2), 0, 1)
    grown = controller.propose_isr((1, 2, 3), incarnations=(1, 1, 1))
    assert (grown.error, grown.isr, grown.partition_epoch) == (0, (1, 2, 3), 2)


@pytest.mark.parametrize(
    "changes, error",
    [
        (dict(leader_epoch=-1), ErrorCode.FENCED_LEADER_EPOCH),
        (dict(leader_epoch=1), ErrorCode.NOT_CONTROLLER),
        (dict(partition_epoch=-1), ErrorCode.INVALID_UPDATE_VERSION),
        (dict(partition_epoch=9), ErrorCode.NOT_CONTROLLER),
        (dict(sender=2), ErrorCode.INVALID_REQUEST),
        (dict(isr=(2, 3)), ErrorCode.INVALID_REQUEST),
        (dict(isr=(1, 1)), ErrorCode.INVALID_REQUEST),
        (dict(isr=(1, 4)), ErrorCode.INVALID_REQUEST),
        (dict(isr=()), ErrorCode.INVALID_REQUEST),
        (dict(incarnations=(1,)), ErrorCode.INVALID_REQUEST),
        (dict(incarnations=(1, 7)), ErrorCode.INELIGIBLE_REPLICA),
        (dict(topic_id=b"x" * 16), ErrorCode.UNKNOWN_TOPIC_ID),
        (dict(partition=1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (dict(sender_incarnation=2), ErrorCode.STALE_BROKER_EPOCH),
    ],
)
def test_a_proposal_is_refused(controller, changes, error):
    version = controller.image.version
    changes = {"isr": (1, 2), **changes}
    result = controller.propose_isr(**changes)
    assert result.error == error
    assert controller.image.version == version


def test_a_dead_broker_does_not_join(controller):
    controller.die(3)
    assert controller.propose_isr((1, 2, 3)).error == ErrorCode.INELIGIBLE_REPLICA


def test_a_topic_made_anew_does_not_listen_to_the_old_one(controller):
    from protocol.cluster_admin import DeleteTopics, TopicToDelete

    old_id = controller.image.topics["t"].topic_id
    controller.ask(DeleteTopics(1, [TopicToDelete("t")]))
    controller.create("t", (1, 2, 3))
    assert controller.image.topics["t"].topic_id != old_id
    assert controller.propose_isr((1, 2), topic_id=old_id).error == ErrorCode.UNKNOWN_TOPIC_ID


def test_what_is_proposed_again_voids_what_was_proposed_before(controller):
    same = controller.propose_isr((1, 2, 3))
    assert (same.error, same.isr, same.partition_epoch) == (0, (1, 2, 3), 1)
    assert controller.propose_isr((1, 2), partition_epoch=0).error == ErrorCode.INVALID_UPDATE_VERSION
