"""The supervisor's decisions, event by event."""

from actors import broker_watch as watch
from actors.broker_events import (
    AllStopped,
    Announce,
    AskToStop,
    BrokerIsUp,
    ClusterCannotStart,
    ClusterIsReady,
    Connect,
    Effect,
    Event,
    GaveUp,
    Kill,
    LookAt,
    Looked,
    ProcessEnded,
    Spawn,
    Spawned,
    StateChanged,
    StopRequested,
    Tick,
)
from actors.broker_watch import BrokerWatch
from actors.supervision import RestartPolicy
from protocol.cluster_supervision import BrokerDown, BrokerHello, BrokerReady, ControllerElected, Heartbeat


class Cluster:
    """A watch under a hand-turned clock; `do` returns the effects but for the routine ones."""

    def __init__(self, *, brokers: int = 3, restarts: bool = True, incarnation: int = 0) -> None:
        self.now_ms = 0
        self.watch = BrokerWatch(
            {number: ("127.0.0.1", 9091 + number, incarnation) for number in range(1, brokers + 1)}, restarts=restarts
        )
        self.first = self.watch.begin()

    def do(self, *events: Event) -> list[Effect]:
        effects: list[Effect] = []
        for event in events:
            effects += self.watch.step(event, self.now_ms)
            self.watch.check()
        return [effect for effect in effects if not _is_routine(effect)]

    def run_broker(self, number: int) -> list[Effect]:
        incarnation = self.watch.brokers[number].incarnation
        return self.do(
            Spawned(number, incarnation, 1000 * number + incarnation),
            BrokerHello(number, incarnation, 0, f"data-{number}", f"control-{number}"),
            BrokerReady(number, incarnation, 9091 + number),
        )

    def run_all(self) -> list[Effect]:
        return [effect for number in self.watch.brokers for effect in self.run_broker(number)]

    def die(self, number: int, reason: str = "killed by SIGKILL") -> list[Effect]:
        return self.do(ProcessEnded(number, self.watch.brokers[number].incarnation, reason))

    def pass_ms(self, duration_ms: int, *beating: int) -> list[Effect]:
        effects = []
        for _ in range(0, duration_ms, watch.TICK_MS):
            self.now_ms += watch.TICK_MS
            effects += self.do(*(Heartbeat(number, self.watch.brokers[number].incarnation) for number in beating))
            effects += self.do(Tick())
        return effects


def _is_routine(effect: Effect) -> bool:
    is_view = isinstance(effect, Announce) and not isinstance(effect.message, BrokerDown)
    return is_view or isinstance(effect, StateChanged | Connect)


def a_running_cluster(**options: bool) -> Cluster:
    cluster = Cluster(**options)
    cluster.run_all()
    cluster.pass_ms(100, 1, 2, 3)
    return cluster


def test_all_brokers_are_spawned_at_once_with_incarnations_never_given_out_before() -> None:
    cluster = Cluster(incarnation=7)
    assert cluster.first == [StateChanged(), Spawn(1, 8, 0), Spawn(2, 8, 0), Spawn(3, 8, 0)]


def test_the_cluster_is_ready_when_the_last_broker_is() -> None:
    cluster = Cluster()
    assert cluster.run_broker(2) == [BrokerIsUp(2, True)]
    assert cluster.run_broker(1) == [BrokerIsUp(1, True)]
    assert cluster.run_broker(3) == [BrokerIsUp(3, True), ClusterIsReady()]


def test_a_death_is_announced_before_anything_else_and_followed_by_a_restart_after_50_ms() -> None:
    cluster = a_running_cluster()
    assert cluster.die(2) == [Announce(BrokerDown(2, 1, "killed by SIGKILL")), Spawn(2, 2, 50)]
    assert cluster.watch.brokers[2].state == "down"
    assert cluster.run_broker(2) == [BrokerIsUp(2, False)]
    assert cluster.watch.brokers[2].restarts == 1


def test_news_of_an_earlier_incarnation_changes_nothing() -> None:
    cluster = a_running_cluster()
    cluster.die(2)
    cluster.do(Spawned(2, 2, 2002))
    old: list[Event] = [
        ProcessEnded(2, 1, "again"),
        BrokerReady(2, 1, 9093),
        Heartbeat(2, 1),
        BrokerHello(2, 1, 0, "x", "y"),
    ]
    assert cluster.do(*old) == []
    assert cluster.watch.brokers[2].state == "starting"


def test_a_stopped_process_is_killed_after_800_ms_of_silence() -> None:
    cluster = a_running_cluster()
    assert cluster.pass_ms(200, 1, 3) == []
    assert cluster.pass_ms(100, 1, 3) == [LookAt(2)]
    assert cluster.do(Looked(2, 1, True)) == []
    cluster.pass_ms(500, 1, 3)
    assert cluster.do(Looked(2, 1, True)) == [Kill(2, "no heartbeat for 800 ms")]
    # only once; its end comes by the process
    assert cluster.pass_ms(1_000, 1, 3) == []
    assert cluster.do(Looked(2, 1, True)) == []


def test_a_process_that_is_only_busy_gets_more_time() -> None:
    cluster = a_running_cluster()
    cluster.pass_ms(2_900, 1, 3)
    assert cluster.do(Looked(2, 1, False)) == []
    cluster.pass_ms(100, 1, 3)
    assert cluster.do(Looked(2, 1, False)) == [Kill(2, "no heartbeat for 3000 ms")]


def test_a_broker_that_starts_gets_a_minute() -> None:
    cluster = Cluster(brokers=1)
    cluster.do(Spawned(1, 1, 1001))
    cluster.pass_ms(10_000)
    assert cluster.do(Looked(1, 1, False)) == []


def test_time_in_which_the_supervisor_itself_was_stopped_is_nobodys_silence() -> None:
    cluster = a_running_cluster()
    cluster.now_ms += 60_000
    assert cluster.do(Tick()) == []


def test_a_broker_that_dies_too_often_stays_down() -> None:
    cluster = a_running_cluster()
    for _ in range(watch.BROKER_RESTARTS.intensity):
        assert any(isinstance(effect, Spawn) for effect in cluster.die(1))
        cluster.run_broker(1)
    assert cluster.die(1)[-1] == GaveUp(1, "killed by SIGKILL")
    assert cluster.watch.brokers[1].state == "failed"


def test_a_broker_that_never_got_ready_ends_the_start_with_its_reason() -> None:
    cluster = Cluster()
    for number in (1, 2, 3):
        cluster.do(Spawned(number, 1, number))
    assert cluster.die(1, "bad disk")[-1] == Spawn(1, 2, 50)
    cluster.do(Spawned(1, 2, 11))
    assert cluster.die(1, "bad disk")[-1] == Spawn(1, 3, 100)
    cluster.do(Spawned(1, 3, 12))
    assert cluster.die(1, "bad disk")[-1] == ClusterCannotStart(1, "bad disk")


def test_without_restarts_a_dead_broker_stays_down() -> None:
    cluster = a_running_cluster(restarts=False)
    assert cluster.die(1) == [Announce(BrokerDown(1, 1, "killed by SIGKILL"))]
    assert cluster.watch.brokers[1].state == "down"


def test_the_controller_is_the_one_with_the_highest_epoch_until_it_dies() -> None:
    cluster = a_running_cluster()
    cluster.do(ControllerElected(2, 5), ControllerElected(1, 4))
    assert cluster.watch.controller_id == 2
    cluster.die(2)
    assert cluster.watch.controller_id == -1


def test_a_stop_asks_one_broker_after_the_other_and_the_controller_last() -> None:
    cluster = a_running_cluster()
    cluster.do(ControllerElected(1, 1))
    assert cluster.do(StopRequested()) == [AskToStop(2)]
    assert cluster.die(2, "exit code 0") == [Announce(BrokerDown(2, 1, "exit code 0")), AskToStop(3)]
    assert cluster.die(3, "exit code 0")[-1] == AskToStop(1)
    assert cluster.die(1, "exit code 0")[-1] == AllStopped()
    assert cluster.do(StopRequested()) == []


def test_a_broker_that_is_slow_to_stop_holds_up_the_next_only_for_its_share() -> None:
    cluster = a_running_cluster()
    cluster.do(StopRequested())
    assert cluster.pass_ms(400) == [AskToStop(2)]
    assert cluster.pass_ms(400) == [AskToStop(3)]
    kills = [Kill(number, "did not stop in time") for number in (1, 2, 3)]
    assert cluster.pass_ms(800)[-3:] == kills


def test_a_stop_with_nobody_alive_ends_at_once() -> None:
    cluster = a_running_cluster(restarts=False)
    for number in (1, 2, 3):
        cluster.die(number)
    assert cluster.do(StopRequested()) == [AllStopped()]


def test_the_view_is_told_again_every_second_for_whoever_has_missed_it() -> None:
    cluster = a_running_cluster()
    last = cluster.watch.view()
    effects: list[Effect] = []
    for _ in range(watch.VIEW_AGAIN_MS // watch.TICK_MS):
        cluster.now_ms += watch.TICK_MS
        effects += cluster.watch.step(Tick(), cluster.now_ms)
    assert effects.count(Announce(last)) == 1


def test_a_hello_that_is_repeated_is_no_news() -> None:
    cluster = a_running_cluster()
    hello = BrokerHello(1, cluster.watch.brokers[1].incarnation, 0, "data-1", "control-1")
    assert cluster.watch.step(hello, cluster.now_ms) == []


def test_how_often_a_broker_may_die_can_be_said():
    watch = BrokerWatch({1: ("127.0.0.1", 9092, 0)}, policy=RestartPolicy(intensity=1, period_ms=60_000))
    watch.begin()
    for life in (1, 2):
        watch.step(Spawned(1, life, 1000 + life), 0)
        watch.step(BrokerHello(1, life, 0, "data", "control"), 0)
        watch.step(BrokerReady(1, life, 9092), 0)
        last = watch.step(ProcessEnded(1, life, "killed by SIGKILL"), 0)
    assert GaveUp(1, "killed by SIGKILL") in last and watch.brokers[1].state == "failed"
