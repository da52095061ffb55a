"""What a broker is told to suffer: orders from the supervisor, on the control socket, for faults inside a process.

Faults that can be done from outside (signals, files) need no order. A new incarnation of a broker begins in health; the
supervisor repeats to it what is in force for good (`Suffer.stays`). Nothing here is obeyed, nor does the socket exist,
where `odradek.chaos.enabled` is false.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class LinkRule(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What becomes of messages to broker `to` (-1: any) of class `kind` ("": any). The first rule that fits wins.

    Each message is lost with probability `loss`, comes twice with `duplication`, and late by `delay_ms` plus up to
    `jitter_ms`: it may be overtaken. Messages to and from the supervisor always pass.
    """

    to: int = -1
    kind: str = ""
    loss: float = 0.0
    duplication: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0


class Network(msgspec.Struct, tag="Network", array_like=True, frozen=True, gc=False):
    """Between this broker and others (sending side). `hides_clients`: requests of clients are not heard either."""

    rules: tuple[LinkRule, ...]
    hides_clients: bool = False
    seed: int = 0


class ClockSkew(msgspec.Struct, tag="ClockSkew", array_like=True, frozen=True, gc=False):
    """The wall clock is off by `offset_ms`, and gains `drift` seconds per second."""

    offset_ms: int
    drift: float = 0.0


class DiskTrouble(msgspec.Struct, tag="DiskTrouble", array_like=True, frozen=True, gc=False):
    """Writes fail as on a full disk and/or take longer, for files whose path contains `path`."""

    is_full: bool = False
    write_delay_ms: float = 0.0
    sync_delay_ms: float = 0.0
    path: str = ""


class CrashActor(msgspec.Struct, tag="CrashActor", array_like=True, frozen=True, gc=False):
    """One of the actors whose path begins with `prefix` fails, chosen by `seed`."""

    prefix: str = "/"
    seed: int = 0


class RequestFault(msgspec.Struct, tag="RequestFault", array_like=True, frozen=True, gc=False):
    """The `nth` request of that API key from now on (and `count` - 1 after it) is not served as usual.

    `error` (a Kafka code) is the answer instead, -1 for the usual answer; it is given after `delay_ms`; or the client
    loses its connection, before the request is served or, `after_serving`, when it has been: the answer is lost.
    """

    api_key: int
    nth: int = 1
    count: int = 1
    error: int = -1
    delay_ms: float = 0.0
    disconnects: bool = False
    after_serving: bool = False


class Inspect(msgspec.Struct, tag="Inspect", array_like=True, frozen=True, gc=False):
    """No fault: `said` is an `Insight` as JSON."""


class HealRequests(msgspec.Struct, tag="HealRequests", array_like=True, frozen=True, gc=False):
    """Request faults end. `said` is how many requests had run into them, "" for none."""


class HealAll(msgspec.Struct, tag="HealAll", array_like=True, frozen=True, gc=False):
    """Everything above ends. `said` is as for HealRequests."""


Fault: TypeAlias = Network | ClockSkew | DiskTrouble | CrashActor | RequestFault | Inspect | HealRequests | HealAll


class Suffer(msgspec.Struct, tag="Suffer", array_like=True, frozen=True, gc=False):
    """Supervisor → broker. `number` comes back in the reply; `event` is the fault's event id, for the timeline."""

    number: int
    fault: Fault
    event: int = 0


class Suffered(msgspec.Struct, tag="Suffered", array_like=True, frozen=True, gc=False):
    """Broker → supervisor: done, or why not (`error`). `said` is for people, e.g. which actor crashed."""

    number: int
    broker_id: int
    error: str = ""
    said: str = ""


class Insight(msgspec.Struct, frozen=True):
    """The actors of one broker: how many, which of them do not run now, and how often any was started again."""

    actors: int
    down: list[str]
    failures: int
    restarts: int


class Order(msgspec.Struct, frozen=True):
    """From outside to the supervisor, one JSON line. `stays`: for the broker's next incarnations as well, until healed.

    `broker_id` 0 is every broker that runs.
    """

    broker_id: int
    fault: Fault
    stays: bool = False
    event: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """The supervisor's answer, one JSON line: what each broker said, and what went wrong."""

    said: dict[str, str] = {}
    errors: dict[str, str] = {}


def encode_line(message: Order | Outcome) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def decode_order(line: bytes) -> Order:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Order)


def decode_outcome(line: bytes) -> Outcome:
    return msgspec.json.decode(line, type=Outcome)

