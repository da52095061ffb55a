import pytest

from actors.supervision import (
    ChildEnded,
    ChildReady,
    ChildRemoved,
    ChildStarted,
    Effect,
    Escalate,
    ForgetChild,
    Restart,
    RestartPolicy,
    StartChild,
    StopChild,
    Strategy,
    Supervision,
)


def a_supervisor(
    *children: str, strategy: Strategy = "one_for_one", intensity: int = 100, restart: Restart = "permanent"
) -> Supervision:
    supervisor = Supervision(RestartPolicy(strategy=strategy, intensity=intensity, period_ms=10_000))
    for child in children:
        supervisor.step(ChildStarted(child, restart), 0)
    return supervisor


def fail(supervisor: Supervision, child: str, now_ms: int = 1) -> list[Effect]:
    effects = supervisor.step(ChildEnded(child, is_failure=True), now_ms)
    supervisor.check()
    return effects


def test_one_for_one_restarts_only_the_child_that_failed() -> None:
    assert fail(a_supervisor("a", "b", "c"), "b") == [StartChild("b", 50)]


def test_rest_for_one_restarts_those_started_after_it_too_stopping_the_last_first() -> None:
    assert fail(a_supervisor("a", "b", "c", "d", strategy="rest_for_one"), "b") == [
        StopChild("d"),
        StopChild("c"),
        StartChild("b", 50),
        StartChild("c", 50),
        StartChild("d", 50),
    ]


def test_one_for_all_restarts_everybody_in_order() -> None:
    assert fail(a_supervisor("a", "b", strategy="one_for_all"), "b") == [
        StopChild("a"),
        StartChild("a", 50),
        StartChild("b", 50),
    ]


def test_the_delay_doubles_with_each_failure_up_to_two_seconds() -> None:
    supervisor = a_supervisor("a")
    delays = []
    for _ in range(8):
        [effect] = fail(supervisor, "a")
        assert isinstance(effect, StartChild)
        delays.append(effect.delay_ms)
    assert delays == [50, 100, 200, 400, 800, 1600, 2000, 2000]


@pytest.mark.parametrize("recovery", [ChildReady("a"), None])
def test_a_child_that_got_ready_or_lived_long_starts_over_with_the_shortest_delay(recovery: ChildReady | None) -> None:
    supervisor = a_supervisor("a")
    fail(supervisor, "a", 1)
    fail(supervisor, "a", 2)
    supervisor.step(ChildStarted("a"), 3)
    if recovery is not None:
        supervisor.step(recovery, 4)
    assert fail(supervisor, "a", 5 if recovery else 20_000) == [StartChild("a", 50)]


def test_more_failures_than_the_intensity_within_the_period_escalate() -> None:
    supervisor = a_supervisor("a", intensity=2)
    assert fail(supervisor, "a", 1_000) == [StartChild("a", 50)]
    assert fail(supervisor, "a", 2_000) == [StartChild("a", 100)]
    assert fail(supervisor, "a", 10_999) == [Escalate("a")]


def test_failures_outside_the_period_do_not_count() -> None:
    supervisor = a_supervisor("a", intensity=2)
    fail(supervisor, "a", 1_000)
    fail(supervisor, "a", 2_000)
    assert fail(supervisor, "a", 11_000) == [StartChild("a", 50)]


@pytest.mark.parametrize(
    ("restart", "is_failure", "is_restarted"),
    [
        ("permanent", True, True),
        ("permanent", False, True),
        ("transient", True, True),
        ("transient", False, False),
        ("temporary", True, False),
        ("temporary", False, False),
    ],
)
def test_the_kind_of_child_decides_whether_it_comes_back(
    restart: Restart, is_failure: bool, is_restarted: bool
) -> None:
    supervisor = a_supervisor("a", restart=restart)
    expected = StartChild("a", 50) if is_restarted else ForgetChild("a")
    assert supervisor.step(ChildEnded("a", is_failure), 1) == [expected]
    assert supervisor.children == (("a",) if is_restarted else ())


def test_a_child_that_was_removed_is_not_restarted() -> None:
    supervisor = a_supervisor("a", "b")
    supervisor.step(ChildRemoved("a"), 1)
    assert fail(supervisor, "a") == []
    assert supervisor.children == ("b",)
