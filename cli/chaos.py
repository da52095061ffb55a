"""chaos kill|pause|partition|request|actors|inject|heal|faults|run|replay|check: hurt a cluster of this machine.

Each fault is measured by a small acks=all producer on the partition concerned, or on a topic of its own. Faults inside
brokers need `odradek.chaos.enabled` (the default). `chaos_runs.py` has runs by a plan, and judges histories.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.chaos_runs import check, replay, run
from cli.options import DataDir, Json
from cli.output import Failed, Mistake, document, say, table
from cli.place import data_dir_of

if TYPE_CHECKING:
    from chaos.faults import Fault
    from chaos.patient import Patient

For = Annotated[str, typer.Option("--for", metavar="TIME", help="Heal after this long, e.g. 3s or 500ms.")]
Topic = Annotated[str, typer.Option("--topic", "-t", metavar="TOPIC/N", help="Measure on this partition.")]
NoWrite = Annotated[bool, typer.Option("--no-write", help="Write no records; tell only what changed.")]
Seed = Annotated[int, typer.Option("--seed", help="Decides what the options leave open.")]

_ONE = ("broker", "leader", "follower", "controller", "coordinator")


def kill(
    whom: Annotated[str, typer.Argument(help="leader, follower, controller, coordinator, broker, majority, all, …")],
    of: Annotated[str, typer.Argument(help="orders/0, a group, or a broker's number.")] = "",
    topic: Topic = "",
    no_write: NoWrite = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Kill brokers with SIGKILL.

    leader orders/0 · follower orders/0 · controller · coordinator GROUP · broker 2 · majority · all · supervisor
    """
    from chaos.faults.kill import Kill

    of, topic = _whose(whom, of, topic)
    fault = Kill(whom, of)
    if whom == "supervisor":
        with _patient(data_dir, seed) as patient:
            _print_line(fault.inject(patient), as_json)
        return
    _measure(fault, topic, "", no_write, seed, data_dir, as_json, group=of if whom == "coordinator" else "")


def pause(
    whom: Annotated[str, typer.Argument(help=f"One of {', '.join(_ONE)}.")],
    of: Annotated[str, typer.Argument(help="A broker's number, orders/0, or a group.")] = "",
    for_: For = "3s",
    topic: Topic = "",
    no_write: NoWrite = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Stop a broker for a while, with SIGSTOP and SIGCONT.

    A broker that stays stopped for 0.8 s is replaced.
    """
    from chaos.faults.kill import Kill
    from chaos.faults.pause import Pause

    if whom not in _ONE:
        raise Mistake(f"pause whom? {whom} is none of {', '.join(_ONE)}")
    of, topic = _whose(whom, of, topic)
    victim = Kill(whom, of)
    with _patient(data_dir, seed) as patient:
        broker = victim.victims(patient, whom, of)[0]
    _measure(Pause(broker), topic, for_, no_write, seed, data_dir, as_json, group=of if whom == "coordinator" else "")


def partition(
    sides: Annotated[list[str], typer.Argument(help="1 2,3: two sides; or one, ring, one-way, clients.")],
    for_: For = "",
    one_way: Annotated[bool, typer.Option("--one-way", help="The first side is not heard, but hears.")] = False,
    broker: Annotated[int, typer.Option("--broker", help="Whom a shape is about.")] = 0,
    topic: Topic = "",
    no_write: NoWrite = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let brokers not hear each other.

    Until --for is over, or `odradek chaos heal`.
    """
    from chaos.faults.partition import Partition

    is_shape = len(sides) == 1 and not sides[0][:1].isdigit()
    if is_shape:
        fault = Partition(sides[0], broker, one_way=one_way)
    elif broker:
        raise Mistake("--broker is for shapes", "sides name their brokers themselves")
    else:
        fault = Partition(sides="|".join(sides), one_way=one_way)
    _measure(fault, topic, for_, no_write, seed, data_dir, as_json)


def request(
    api: Annotated[str, typer.Argument(help="Its name or number: produce, fetch, 11.")],
    nth: Annotated[int, typer.Option("--nth", help="Which one from now on.")] = 1,
    count: Annotated[int, typer.Option("--count", help="How many from that one on.")] = 1,
    error: Annotated[str, typer.Option("--error", help="Answer this, e.g. NOT_LEADER_OR_FOLLOWER.")] = "",
    delay: Annotated[str, typer.Option("--delay", help="Answer so late, e.g. 500ms.")] = "",
    disconnect: Annotated[bool, typer.Option("--disconnect", help="End the connection instead.")] = False,
    lost_answer: Annotated[bool, typer.Option("--lost-answer", help="Serve it, then end the connection.")] = False,
    broker: Annotated[int, typer.Option("--broker", help="Only there.")] = 0,
    topic: Topic = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let the Nth request of an API fail.

    With a code, a delay, or the loss of its connection. It waits for your clients' requests; with --topic the measuring
    producer runs into it.
    """
    from chaos.faults.request import Request
    from chaos.plan import seconds

    delay_ms = round(seconds(delay) * 1000, 3) if delay else 0.0
    fault = Request(api, nth, count, error, delay_ms, disconnect, lost_answer, broker)
    if topic:
        _measure(fault, topic, "", False, 0, data_dir, as_json)
        return
    with _patient(data_dir, 0) as patient:
        _print_line(fault.inject(patient), as_json)


def actors(
    deed: Annotated[str, typer.Argument(help="crash")],
    prefix: Annotated[str, typer.Option("--path", help="Of the actor, or the beginning of it.")] = "/",
    count: Annotated[int, typer.Option("--count", help="How many, one after the other.")] = 1,
    broker: Annotated[int, typer.Option("--broker", help="Only there.")] = 0,
    topic: Topic = "",
    no_write: NoWrite = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Crash actors inside brokers.

    Their supervisors start them again.
    """
    from chaos.faults.actor_crash import ActorCrash

    if deed != "crash":
        raise Mistake(f"actors {deed}: actors can only be told to crash")
    _measure(ActorCrash(prefix, broker, count), topic, "", no_write, seed, data_dir, as_json)


def inject(
    name: Annotated[str, typer.Argument(metavar="FAULT", help="See `odradek chaos faults`.")],
    options: Annotated[list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...")] = None,
    for_: For = "",
    topic: Topic = "",
    no_write: NoWrite = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Any fault by its name.

    noise loss=0.1 · clock broker=2 offset_ms=60000 · bit-flip of=orders/0
    """
    from chaos.plan import fault_of

    given: dict[str, Any] = {}
    for option in options or []:
        key, equals, value = option.partition("=")
        if not equals:
            raise Mistake(f"{option}: write options as name=value", f"`odradek chaos faults` lists those of {name}")
        given[key] = value
    _measure(fault_of(name, given), topic, for_, no_write, seed, data_dir, as_json)


def heal(data_dir: DataDir = None, as_json: Json = False) -> None:
    """End all faults.

    What was done inside brokers, and stopped processes go on.
    """
    from chaos.faults.damage import is_stopped
    from chaos.patient import HEAL_S
    from protocol.cluster_chaos import HealAll
    from testing.processes import is_alive
    from testing.waiting import wait_until

    with _patient(data_dir, 0) as patient:
        for broker, row in patient.rows().items():
            if row["pid"] and is_alive(int(row["pid"])) and is_stopped(int(row["pid"])):
                patient.strike(broker, signal.SIGCONT)
        patient.order(0, HealAll(), stays=True)
        patient.tell("everything", "brokers", "heal")
        wait_until(patient.is_running, timeout_s=HEAL_S, what="all brokers to run")
        patient.restart_where_disks_failed()
        _print_line(f"healed; brokers {', '.join(map(str, patient.brokers()))} run", as_json)


def faults(as_json: Json = False) -> None:
    """List the faults, with options and defaults."""
    from chaos.faults import FAULTS

    rows = [(name, kind.options(), _summary(kind)) for name, kind in FAULTS.items()]
    if as_json:
        document([{"fault": name, "options": options, "about": about} for name, options, about in rows])
        return
    table(("FAULT", "OPTIONS", "ABOUT"),
          [(name, " ".join(f"{key}={value}" for key, value in options.items()), about)
           for name, options, about in rows])  # fmt: skip


def _measure(
    fault: Fault,
    where: str,
    for_: str,
    no_write: bool,
    seed: int,
    data_dir: Path | None,
    as_json: bool,
    *,
    group: str = "",
) -> None:
    from chaos.faults.kill import partition_of
    from chaos.outcome import measure, probe_topic, watch
    from chaos.plan import seconds

    for_s = seconds(for_) if for_ else None
    place = partition_of(where) if where else None
    with _patient(data_dir, seed) as patient:
        topic, number = place or (probe_topic(patient), 0)
        patient.partition(topic, number)  # else the first write would create what was only misspelt
        patient.topics = [topic]
        outcome = (watch if no_write else measure)(patient, fault, topic, number, for_s=for_s, group=group)
    if as_json:
        document(outcome.plain())
        return
    say(outcome.done)
    print(outcome)
    if place and outcome.acked:
        say(f"{outcome.acked} records of the measurement stay in {topic}-{number}, with a header odradek-chaos: probe")


@contextmanager
def _patient(data_dir: Path | None, seed: int) -> Iterator[Patient]:
    from chaos.patient import Patient
    from testing.waiting import ClusterFailed

    with closing(Patient(data_dir_of(data_dir), seed=seed)) as patient:
        try:
            patient.state()  # it runs
            yield patient
        except ClusterFailed as failure:
            raise Failed(str(failure), "`odradek timeline` and `odradek doctor` may tell why") from None


def _whose(whom: str, of: str, topic: str) -> tuple[str, str]:
    """Whose leader or follower it is, and where that is measured: each is the other's default."""
    if whom not in ("leader", "follower"):
        return of, topic
    if not of and not topic:
        raise Mistake(f"whose {whom}?", f"write it as `{whom} orders/0`")
    return of or topic, topic or of


def _print_line(text: str, as_json: bool) -> None:
    if as_json:
        document({"text": text})
    else:
        print(text)


def _summary(kind: type[Fault]) -> str:
    return (sys.modules[kind.__module__].__doc__ or "").split("\n\n")[0].replace("\n", " ")


COMMANDS: dict[str, Callable[..., Any]] = {
    "kill": kill,
    "pause": pause,
    "partition": partition,
    "request": request,
    "actors": actors,
    "inject": inject,
    "heal": heal,
    "faults": faults,
    "run": run,
    "replay": replay,
    "check": check,
}

