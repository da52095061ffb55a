"""What was not taken: sent again in order, stamped anew, split, or given up."""

import pytest
from producer_stage import Stage, run

from clients.errors import DeliveryTimedOut
from model.errors import ErrorCode, InvalidRecord, MessageTooLarge, OutOfOrderSequenceNumber, RequestTimedOut


def test_order_is_kept_when_the_first_of_several_fails():
    async def scenario():
        stage = Stage()
        deliveries = await stage.send(b"a", b"b", b"c")
        first, second, third = stage.sent
        await first.answer(ErrorCode.NOT_ENOUGH_REPLICAS)
        await second.answer(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        assert len(stage.sent) == 3  # nothing while one is under way
        await third.answer(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        await stage.pump()
        assert [sent.batches for sent in stage.sent[3:]] == [sent.batches for sent in (first, second, third)]
        for number, sent in enumerate(stage.sent[3:]):
            await sent.answer(offset=number)
        assert [delivery.result(0).offset for delivery in deliveries] == [0, 1, 2]

    run(scenario)


def test_a_lost_connection_has_all_of_it_sent_to_the_new_leader():
    async def scenario():
        stage = Stage()
        await stage.send(b"a", b"b")
        for sent in list(stage.sent):
            await sent.lose()
        assert len(stage.sent) == 2 and stage.refreshes
        await stage.refreshed(leader=2)
        assert [(sent.node, sent.batches[0][2]) for sent in stage.sent[2:]] == [(2, 0), (2, 1)]

    run(scenario)


def test_the_leaders_hint_saves_a_question():
    async def scenario():
        stage = Stage()
        await stage.send(b"a")
        await stage.sent[0].answer(ErrorCode.NOT_LEADER_OR_FOLLOWER, leader=2)
        await stage.pump()
        assert [sent.node for sent in stage.sent] == [1, 2]

    run(scenario)


def test_a_rejected_batch_leaves_no_gap():
    async def scenario():
        stage = Stage()
        bad, good = await stage.send(b"bad", b"good")
        await stage.sent[0].answer(ErrorCode.INVALID_RECORD)
        await stage.sent[1].answer(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        assert isinstance(bad.exception(0), InvalidRecord)
        assert stage.sent[2].batches == [(0, 0, 0, [b"good"])]  # under the sequence of the one that is no more
        await stage.sent[2].answer(offset=3)
        assert good.result(0).offset == 3 and not stage.identity.bumps

    run(scenario)


def test_a_leader_that_lost_acknowledged_records_gets_a_new_epoch():
    async def scenario():
        stage = Stage()
        await stage.send(b"a")
        await stage.sent[0].answer(offset=0)
        (second,) = await stage.send(b"b")
        await stage.sent[1].answer(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        await stage.pump()
        assert stage.identity.bumps and len(stage.sent) == 2
        await stage.identity.has_bumped()
        assert stage.sent[2].batches == [(0, 1, 0, [b"b"])]
        await stage.sent[2].answer(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        assert isinstance(second.exception(0), OutOfOrderSequenceNumber)  # once is enough

    run(scenario)


def test_a_forgotten_producer_goes_on_in_a_new_epoch():
    async def scenario():
        stage = Stage()
        (delivery,) = await stage.send(b"a")
        await stage.sent[0].answer(ErrorCode.UNKNOWN_PRODUCER_ID)
        await stage.identity.has_bumped()
        assert stage.sent[1].batches == [(0, 1, 0, [b"a"])]
        await stage.sent[1].answer(offset=8)
        assert delivery.result(0).offset == 8

    run(scenario)


def test_after_the_last_retry_it_has_failed_and_its_sequences_are_burnt():
    async def scenario():
        stage = Stage(retries=1)
        (delivery,) = await stage.send(b"a")
        for number in range(2):
            await stage.sent[number].answer(ErrorCode.REQUEST_TIMED_OUT)
            await stage.pump()
        assert isinstance(delivery.exception(0), RequestTimedOut) and len(stage.sent) == 2
        await stage.send(b"b")
        await stage.identity.has_bumped()
        assert stage.sent[2].batches == [(0, 1, 0, [b"b"])]

    run(scenario)


def test_too_large_for_the_topic_is_split_in_order():
    async def scenario():
        stage = Stage()
        deliveries = [stage.append_open(b"%d" % number) for number in range(4)]
        await stage.pump()
        await stage.sent[0].answer(ErrorCode.MESSAGE_TOO_LARGE)
        assert [sent.batches for sent in stage.sent[1:]] == [[(0, 0, 0, [b"0", b"1"])], [(0, 0, 2, [b"2", b"3"])]]
        await stage.sent[1].answer(offset=10)
        await stage.sent[2].answer(offset=12)
        assert [delivery.result(0).offset for delivery in deliveries] == [10, 11, 12, 13]

    run(scenario)


def test_one_record_can_not_be_split():
    async def scenario():
        stage = Stage()
        (delivery,) = await stage.send(b"a")
        await stage.sent[0].answer(ErrorCode.MESSAGE_TOO_LARGE)
        assert isinstance(delivery.exception(0), MessageTooLarge)

    run(scenario)


@pytest.mark.parametrize("is_under_way", [True, False])
def test_what_takes_too_long_is_given_up(is_under_way):
    async def scenario():
        stage = Stage(**{"delivery.timeout.ms": 1_000, "request.timeout.ms": 500})
        if not is_under_way:
            stage.metadata.topics["t"].partitions[0].leader = -1
        (delivery,) = await stage.send(b"a")
        for batch in (*stage.queue().in_flight, *stage.queue().ready):
            batch.created -= 2
        await stage.pump()
        assert isinstance(delivery.exception(0), DeliveryTimedOut)
        await stage.send(b"b")
        await stage.identity.has_bumped()
        await stage.refreshed(leader=1)
        assert stage.sent[-1].batches == [(0, 1, 0, [b"b"])]  # the sequences of the first are burnt

    run(scenario)
