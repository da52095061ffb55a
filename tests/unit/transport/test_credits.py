"""Credits bound what is under way, and heal after loss."""

from transport.credits import MESSAGE_BYTES, ReceiveCredit, SendCredit


def test_a_window_that_is_used_up_refuses():
    credit = SendCredit(window_bytes=1_000)
    assert credit.take(900) == 900 + MESSAGE_BYTES  # the one message that may overrun
    assert credit.take(1) == -1
    assert credit.is_starved


def test_a_message_larger_than_the_window_passes_when_nothing_is_under_way():
    assert SendCredit(window_bytes=1_000).take(50_000) > 0


def test_starvation_ends_when_half_of_the_window_is_free():
    credit = SendCredit(window_bytes=1_000)
    positions = [credit.take(0) for _ in range(4)]
    assert credit.take(0) == -1
    assert not credit.returned(positions[0])
    assert credit.returned(positions[2])
    assert not credit.returned(positions[3])  # told once
    assert credit.outstanding == 0


def test_a_later_position_makes_good_for_lost_credits_and_old_ones_change_nothing():
    credit = SendCredit(window_bytes=10_000)
    first, second = credit.take(10), credit.take(10)
    credit.returned(second)
    credit.returned(first)
    assert credit.outstanding == 0


def test_a_credit_for_what_was_never_sent_is_ignored():
    credit = SendCredit(window_bytes=10_000)
    credit.take(10)
    credit.returned(1 << 60)
    assert credit.outstanding == 10 + MESSAGE_BYTES


def test_the_receiver_returns_credit_in_steps():
    received = ReceiveCredit(incarnation=1, step_bytes=100)
    assert not received.handle(99)
    assert received.handle(100)
    received.returned = received.handled
    assert not received.handle(150)
    assert received.handle(200)
