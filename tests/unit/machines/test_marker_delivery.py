"""Markers reach whoever leads, once each, until each is committed."""

from __future__ import annotations

from machines.marker_delivery import RESEND_MS, RETRY_MS, Leader, MarkerDelivery, TransactionMarker
from model.ids import TopicPartition

P0, P1 = TopicPartition("t", 0), TopicPartition("t", 1)
ONE, TWO = Leader(1, 10, 5), Leader(2, 20, 5)


def marker(partition: TopicPartition, epoch: int = 3) -> TransactionMarker:
    return TransactionMarker("id", 7, epoch, True, 2, partition)


class Sender:
    def __init__(self, *partitions: TopicPartition) -> None:
        self.leaders: dict[TopicPartition, Leader] = {P0: ONE, P1: TWO}
        self.delivery = MarkerDelivery()
        self.delivery.add(marker(p) for p in partitions)

    def due(self, now_ms: int) -> dict[int, list[TransactionMarker]]:
        return self.delivery.due(now_ms, self.leaders.get)


def test_each_leader_gets_its_markers_once() -> None:
    it = Sender(P0, P1)
    assert it.due(0) == {1: [marker(P0)], 2: [marker(P1)]}
    assert it.due(1) == {}


def test_markers_without_a_leader_wait_for_one() -> None:
    it = Sender(P0)
    it.leaders = {}
    assert it.due(0) == {}
    it.leaders = {P0: TWO}
    assert it.due(1) == {2: [marker(P0)]}


def test_a_new_leader_gets_them_at_once_even_if_it_is_the_same_broker() -> None:
    it = Sender(P0)
    it.due(0)
    for changed in (ONE._replace(leader_epoch=6), ONE._replace(incarnation=11), TWO):
        it.leaders[P0] = changed
        assert it.due(1) == {changed.broker_id: [marker(P0)]}
        assert it.due(1) == {}


def test_a_refused_marker_is_tried_again_soon_and_a_lost_one_later() -> None:
    it = Sender(P0, P1)
    it.due(0)
    it.delivery.not_sent([marker(P0)], 0)
    assert it.due(RETRY_MS - 1) == {}
    assert it.due(RETRY_MS) == {1: [marker(P0)]}
    assert it.due(RESEND_MS) == {2: [marker(P1)]}


def test_what_is_done_is_not_sent_again_and_old_outcomes_find_nothing() -> None:
    it = Sender(P0)
    it.due(0)
    assert it.delivery.find("id", P0, 7, 2) is None
    found = it.delivery.find("id", P0, 7, 3)
    assert found == marker(P0)
    it.delivery.done(found)
    assert (len(it.delivery), it.due(RESEND_MS)) == (0, {})


def test_partitions_that_were_deleted_are_found() -> None:
    it = Sender(P0, P1)
    assert it.delivery.without(lambda p: p == P0) == [marker(P1)]
