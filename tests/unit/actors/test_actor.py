import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pykka
import pytest

from actors.actor import Actor, ActorSystem, Down, MailboxFull
from actors.supervision import RestartPolicy

AT_ONCE = RestartPolicy(backoff_first_ms=0)


class Recorder(Actor):
    """Answers what it is asked, fails on an exception, keeps all else."""

    lives: list["Recorder"] = []

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []
        self.ended = ""

    def on_start(self) -> None:
        Recorder.lives.append(self)

    def on_receive(self, message: object) -> object:
        if isinstance(message, BaseException):
            raise message
        self.seen.append(message)
        return message

    def on_stop(self) -> None:
        self.ended = "stopped"

    def on_failure(self, *error: Any) -> None:
        self.ended = f"failed {error[1]}"


@pytest.fixture(autouse=True)
def _fresh_recorder() -> None:
    Recorder.lives = []


def on_a_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def limited() -> None:
            async with asyncio.timeout(10):
                await test()

        asyncio.run(limited())

    run.__name__ = test.__name__
    return run


async def settle(is_done: Callable[[], bool] = lambda: True) -> None:
    """Let the loop turn until all inboxes are empty and `is_done` holds."""
    system = ActorSystem.of_running_loop()
    await asyncio.sleep(0)
    while not system.mail.is_idle or not is_done():
        await asyncio.sleep(0)


@on_a_loop
async def test_messages_are_handled_in_the_order_they_were_told() -> None:
    system = ActorSystem()
    system.start("/a", Recorder)
    assert all(system.tell("/a", number) for number in range(5_000))
    await settle()
    assert Recorder.lives[0].seen == list(range(5_000))
    assert system.statistics()["/a"].handled == 5_000
    assert system.statistics()["/a"].inbox_depth_max == 5_000


@on_a_loop
async def test_a_busy_actor_does_not_keep_others_waiting() -> None:
    system = ActorSystem()

    class Busy(Recorder):
        def on_receive(self, message: object) -> object:
            self.tell("/busy", message)
            return super().on_receive(message)

    system.start("/busy", Busy)
    system.start("/a", Recorder)
    system.tell("/busy", "again")
    system.tell("/a", 1)
    for _ in range(3):
        await asyncio.sleep(0)
    busy, quiet = Recorder.lives
    assert quiet.seen == [1]
    assert len(busy.seen) < 10_000
    system.stop_all()


@on_a_loop
async def test_a_path_outlives_the_actor_that_lives_there() -> None:
    system = ActorSystem(AT_ONCE)
    system.start("/a", Recorder)
    system.tell("/a", ValueError("oops"))
    await settle(lambda: len(Recorder.lives) == 2)
    system.tell("/a", "hello")
    await settle()
    first, second = Recorder.lives
    assert (first.ended, second.seen) == ("failed oops", ["hello"])
    statistics = system.statistics()["/a"]
    assert (statistics.failures, statistics.restarts, statistics.is_running) == (1, 1, True)


@on_a_loop
async def test_a_failed_ask_reaches_the_caller_and_the_supervisor() -> None:
    system = ActorSystem(AT_ONCE)
    system.start("/a", Recorder)
    with pytest.raises(ValueError, match="oops"):
        await system.ask("/a", ValueError("oops"))
    await settle(lambda: len(Recorder.lives) == 2)
    assert await system.ask("/a", "alive") == "alive"


@on_a_loop
async def test_a_failing_start_counts_and_is_tried_again() -> None:
    system = ActorSystem(AT_ONCE)
    attempts = []

    class Shy(Recorder):
        def on_start(self) -> None:
            attempts.append(self)
            if len(attempts) < 3:
                raise RuntimeError("not yet")
            super().on_start()

    assert system.start("/shy", Shy) is False
    await settle(lambda: len(Recorder.lives) == 1)
    assert system.statistics()["/shy"].failures == 2
    assert attempts[0].ended == "failed not yet"


@on_a_loop
async def test_a_failing_constructor_counts_too() -> None:
    system = ActorSystem(AT_ONCE)
    attempts: list[int] = []

    def make() -> Actor:
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError("no")
        return Recorder()

    assert system.start("/a", make) is False
    await settle(lambda: system.is_running("/a"))
    assert system.statistics()["/a"].failures == 1


@on_a_loop
async def test_what_was_in_the_inbox_of_a_dead_actor_is_a_dead_letter() -> None:
    letters: list[tuple[str, object]] = []
    system = ActorSystem(on_dead_letter=lambda path, message: letters.append((path, message)))
    system.start("/a", Recorder)
    error = ValueError("oops")
    system.tell("/a", error)
    system.tell("/a", "left")
    answer = system.ask("/a", "a question")
    await settle()
    assert system.tell("/a", "too late") is False
    assert letters == [("/a", "left"), ("/a", error), ("/a", "too late")]
    assert system.mail.dead_letters == 3
    with pytest.raises(pykka.ActorDeadError):
        await answer
    system.stop_all()


@on_a_loop
async def test_a_full_inbox_rejects_and_counts() -> None:
    system = ActorSystem()

    class Small(Recorder):
        inbox_capacity = 2

    system.start("/a", Small)
    assert [system.tell("/a", number) for number in range(4)] == [True, True, False, False]
    with pytest.raises(MailboxFull):
        system.ref("/a").tell(5)
    with pytest.raises(MailboxFull):
        system.ask("/a", 6)
    await settle()
    assert Recorder.lives[0].seen == [0, 1]
    assert system.statistics()["/a"].rejected == 4
    assert system.mail.dead_letters == 0


@on_a_loop
async def test_monitors_hear_how_an_actor_ended() -> None:
    system = ActorSystem(AT_ONCE)
    system.start("/watcher", Recorder)
    system.start("/a", Recorder)
    system.monitor("/a", "/watcher")
    system.monitor("/nobody", "/watcher")
    system.tell("/a", ValueError("oops"))
    await settle(lambda: len(Recorder.lives) == 3)
    system.stop("/a")
    await settle()
    assert Recorder.lives[0].seen == [
        Down("/nobody", "not running"),
        Down("/a", "failed: ValueError: oops"),
        Down("/a", "stopped"),
    ]


@on_a_loop
async def test_too_many_failures_escalate_through_the_tree_to_the_root() -> None:
    given_up: list[str] = []
    system = ActorSystem(
        RestartPolicy(intensity=1, backoff_first_ms=0), on_escalation=lambda path, reason: given_up.append(path)
    )
    system.supervise("/group", RestartPolicy(intensity=1, backoff_first_ms=0))
    system.start("/group/a", Recorder, supervisor="/group")
    system.start("/group/b", Recorder, supervisor="/group")

    async def fail_a() -> None:
        lives = len(Recorder.lives)
        system.tell("/group/a", ValueError("oops"))
        await settle(lambda: len(Recorder.lives) > lives or bool(given_up))

    await fail_a()
    assert len(Recorder.lives) == 3
    # the second failure is one too many: the group ends and is restarted as a whole
    await fail_a()
    await settle(lambda: len(Recorder.lives) == 5)
    assert Recorder.lives[1].ended == "stopped"
    await fail_a()
    await fail_a()
    await settle(lambda: bool(given_up))
    assert given_up == ["/group"]


@on_a_loop
async def test_children_of_an_actor_end_with_it_and_are_started_again_by_it() -> None:
    system = ActorSystem(AT_ONCE)

    class Parent(Recorder):
        def on_start(self) -> None:
            super().on_start()
            self.system.start("/parent/child", Recorder, supervisor="/parent")

    system.start("/parent", Parent)
    system.tell("/parent", ValueError("oops"))
    await settle(lambda: len(Recorder.lives) == 4)
    assert [life.ended for life in Recorder.lives] == ["failed oops", "stopped", "", ""]
    system.stop("/parent")
    assert not system.is_running("/parent/child")
    assert system.statistics() == {}


@on_a_loop
async def test_an_actor_that_stops_itself_comes_back_only_if_permanent() -> None:
    system = ActorSystem(AT_ONCE)

    class Leaver(Recorder):
        def on_receive(self, message: object) -> object:
            self.stop()
            return None

    system.start("/transient", Leaver, restart="transient")
    system.start("/permanent", Leaver)
    system.tell("/transient", "leave")
    system.tell("/permanent", "leave")
    await settle(lambda: len(Recorder.lives) == 3)
    assert not system.is_running("/transient")
    assert system.is_running("/permanent")


@on_a_loop
async def test_timers_and_tasks_end_with_their_instance() -> None:
    system = ActorSystem(AT_ONCE)
    cancelled = asyncio.Event()

    class Timed(Recorder):
        def on_start(self) -> None:
            super().on_start()
            self.schedule(1, f"timer of {len(Recorder.lives)}")
            if len(Recorder.lives) == 1:
                self.spawn(self.wait())

        async def wait(self) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    system.start("/a", Timed)
    await asyncio.sleep(0)
    system.tell("/a", ValueError("oops"))
    await settle(lambda: len(Recorder.lives) == 2 and Recorder.lives[1].seen == ["timer of 2"])
    await cancelled.wait()
    assert Recorder.lives[0].seen == []


@on_a_loop
async def test_a_failing_task_is_the_failure_of_its_actor() -> None:
    system = ActorSystem(AT_ONCE)

    class Working(Recorder):
        def on_start(self) -> None:
            super().on_start()
            if len(Recorder.lives) == 1:
                self.spawn(self.work())

        async def work(self) -> None:
            raise RuntimeError("broken")

    system.start("/a", Working)
    await settle(lambda: len(Recorder.lives) == 2)
    assert Recorder.lives[0].ended == "failed broken"


@on_a_loop
async def test_refs_and_proxies_of_pykka_work_from_other_threads() -> None:
    class Counter(Actor):
        def __init__(self, first: int) -> None:
            super().__init__()
            self.count = first

        def add(self, number: int) -> int:
            self.count += number
            return self.count

    ref = Counter.start(3)
    answers: list[object] = []

    def use() -> None:
        proxy = ref.proxy()
        answers.append(proxy.add(4).get(timeout=5))
        answers.append(proxy.count.get(timeout=5))
        answers.append(ref.stop(timeout=5))
        answers.append(ref.is_alive())

    thread = threading.Thread(target=use)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0)
    assert answers == [7, 7, True, False]


@on_a_loop
async def test_waiting_for_an_answer_on_the_loop_is_an_error_not_a_deadlock() -> None:
    system = ActorSystem()
    system.start("/a", Recorder)
    with pytest.raises(RuntimeError, match="await"):
        system.ref("/a").ask("x")


@on_a_loop
async def test_a_path_can_be_taken_only_once_and_again_after_a_stop() -> None:
    system = ActorSystem()
    system.start("/a", Recorder)
    with pytest.raises(ValueError, match="taken"):
        system.start("/a", Recorder)
    assert system.stop("/a") is True
    assert system.stop("/a") is False
    assert system.start("/a", Recorder) is True


@on_a_loop
async def test_rest_for_one_stops_and_restarts_the_later_siblings() -> None:
    system = ActorSystem(RestartPolicy(strategy="rest_for_one", backoff_first_ms=0))
    for path in ("/a", "/b", "/c"):
        system.start(path, Recorder)
    system.tell("/b", ValueError("oops"))
    await settle(lambda: len(Recorder.lives) == 5)
    assert [life.path for life in Recorder.lives] == ["/a", "/b", "/c", "/b", "/c"]
    assert [life.ended for life in Recorder.lives[:3]] == ["", "failed oops", "stopped"]
