"""What the sender puts on the wire, and when."""

from producer_stage import Stage, run, settle

from model.errors import ErrorCode


def test_batches_are_numbered_in_the_order_of_sending():
    async def scenario():
        stage = Stage()
        first, second = await stage.send(b"a", b"b")
        assert [sent.batches for sent in stage.sent] == [[(0, 0, 0, [b"a"])], [(0, 0, 1, [b"b"])]]
        await stage.sent[0].answer(offset=40)
        await stage.sent[1].answer(offset=41)
        assert (first.result(0).offset, second.result(0).offset) == (40, 41)
        assert stage.queue().is_empty

    run(scenario)


def test_the_first_batch_of_all_travels_alone():
    async def scenario():
        stage = Stage()
        stage.queue().proven = None
        await stage.send(b"a", b"b", b"c")
        assert len(stage.sent) == 1
        await stage.sent[0].answer(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)  # the broker has not heard of the topic yet
        await stage.refreshed(leader=1)
        assert [sent.batches[0][3] for sent in stage.sent[1:]] == [[b"a"]]
        await stage.sent[1].answer(offset=0)
        assert [sent.batches[0][3] for sent in stage.sent[2:]] == [[b"b"], [b"c"]]

    run(scenario)


def test_partitions_of_one_leader_share_a_request():
    async def scenario():
        stage = Stage()
        stage.append(b"a", partition=0)
        stage.append(b"b", partition=1)
        await stage.pump()
        (sent,) = stage.sent
        assert sorted(sent.batches) == [(0, 0, 0, [b"a"]), (1, 0, 0, [b"b"])]

    run(scenario)


def test_no_more_requests_are_under_way_than_allowed():
    async def scenario():
        stage = Stage(**{"max.in.flight.requests.per.connection": 2})
        deliveries = await stage.send(*(b"%d" % number for number in range(5)))
        assert len(stage.sent) == 2
        for number in range(5):
            await stage.sent[number].answer(offset=number)
        assert [delivery.result(0).offset for delivery in deliveries] == list(range(5))

    run(scenario)


def test_a_request_is_no_larger_than_allowed():
    async def scenario():
        stage = Stage(**{"max.request.size": 1_500})
        stage.append(b"x" * 800, partition=0)
        stage.append(b"y" * 800, partition=1)
        await stage.pump()
        assert [len(sent.rows) for sent in stage.sent] == [1, 1]

    run(scenario)


def test_without_a_leader_it_asks_and_waits():
    async def scenario():
        stage = Stage()
        stage.metadata.topics["t"].partitions[0].leader = -1
        await stage.send(b"a")
        assert not stage.sent and stage.refreshes
        await stage.refreshed(leader=2)
        assert [sent.node for sent in stage.sent] == [2]

    run(scenario)


def test_an_unreachable_leader_is_asked_about():
    async def scenario():
        stage = Stage()
        stage.unreachable.add(1)
        await stage.send(b"a")
        assert not stage.sent and stage.refreshes and "not there" in stage.last_failure
        await stage.refreshed(leader=2)
        assert [sent.node for sent in stage.sent] == [2]

    run(scenario)


def test_nobody_answers_acks_0():
    async def scenario():
        stage = Stage(acks=0)
        (delivery,) = await stage.send(b"a")
        await settle()
        assert delivery.result(0).offset == -1

    run(scenario)


def test_a_duplicate_is_a_success():
    async def scenario():
        stage = Stage()
        (delivery,) = await stage.send(b"a")
        await stage.sent[0].answer(ErrorCode.DUPLICATE_SEQUENCE_NUMBER, offset=-1)
        assert delivery.result(0).offset == -1

    run(scenario)


def test_quiet_waits_for_what_is_under_way():
    async def scenario():
        import asyncio

        stage = Stage()
        await stage.send(b"a")
        quiet = asyncio.ensure_future(stage.sender.quiet())
        await settle()
        assert not quiet.done()
        await stage.sent[0].answer()
        assert quiet.done()

    run(scenario)


def test_a_failure_of_the_producer_fails_all_and_sends_nothing_more():
    async def scenario():
        stage = Stage(**{"max.in.flight.requests.per.connection": 1})
        deliveries = await stage.send(b"a", b"b")
        stage.sender.fail_all(ValueError("over"))
        assert [str(delivery.exception(0)) for delivery in deliveries] == ["over", "over"]
        (late,) = await stage.send(b"c")
        assert len(stage.sent) == 1 and not late.done()

    run(scenario)
