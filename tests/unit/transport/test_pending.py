"""An answer that comes later reaches whoever waits for it, once."""

import asyncio

from transport.pending import Pending


def test_the_answer_is_what_it_was_resolved_with_in_the_shape_it_is_sent_in():
    pending: Pending[int] = Pending()
    woken: list[bool] = []
    pending.shape = str
    pending.when_done(lambda: woken.append(pending.is_done))
    assert (woken, pending.is_done) == ([], False)
    pending.resolve(5)
    pending.resolve(6)
    assert (woken, pending.answer()) == ([True], "5")


def test_who_comes_late_is_woken_at_once():
    pending: Pending[None] = Pending()
    pending.resolve(None)
    woken: list[int] = []
    pending.when_done(lambda: woken.append(1))
    assert woken == [1] and pending.answer() is None


def test_it_can_be_awaited_before_and_after_it_is_resolved():
    async def scenario() -> None:
        pending: Pending[int] = Pending()
        asyncio.get_running_loop().call_soon(pending.resolve, 5)
        assert await pending == 5
        assert await pending == 5

    asyncio.run(asyncio.wait_for(scenario(), 20))
