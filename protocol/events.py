"""What happened to a cluster, one structured event each: the stream that CLI, tests and dashboard share.

Every process appends its own events to a file of its own below `DATA_DIR/events/`, as JSON lines; `chaos/timeline.py`
merges them. Only what is rare is told (elections, fencing, ISR changes, rebalances, truncations, restarts, crashes),
never anything per record or request.

An event names its cause, the event without which it would not have happened. Between processes the cause travels as the
envelope's trace id; for a process's birth and end it need not travel, since everybody can compute those ids.
"""

from __future__ import annotations

from typing import Any, Final, NewType

import msgspec

EventId = NewType("EventId", int)
"""node (8 bits), incarnation (32), number (24). Zero: nothing, nobody knows."""

NOTHING: Final = EventId(0)
HANDS: Final = 255
"""The node number of those who hurt a cluster from outside: tests, `odradek chaos`."""

_BIRTH, _DEATH, _BLOW = 1, 2, 3
FIRST_FREE: Final = 16
"""The numbers below are the same in every process; from here on each counts its own."""


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`at` is wall-clock time in seconds, `broker` who tells it (0: the supervisor, 255: from outside).

    `subject` is what it happened to: "orders-0", "broker 2", "group billing", "controller". `trace` is the id of the
    first event of the chain; the timeline fills it in. Ids are texts: node.incarnation.number.
    """

    at: float
    broker: int
    id: str
    kind: str
    subject: str
    details: dict[str, Any] = {}
    cause: str = ""
    trace: str = ""


def event_id(node: int, incarnation: int, number: int) -> EventId:
    return EventId((node & 0xFF) << 56 | (incarnation & 0xFFFFFFFF) << 24 | number & 0xFFFFFF)


def birth(broker_id: int, incarnation: int) -> EventId:
    """The start of a broker's process, as its supervisor tells it."""
    return event_id(broker_id, incarnation, _BIRTH)


def death(broker_id: int, incarnation: int) -> EventId:
    """The end of a broker's process, as its supervisor tells it."""
    return event_id(broker_id, incarnation, _DEATH)


def blow(broker_id: int, incarnation: int) -> EventId:
    """A signal that somebody sent to the process, if anybody did."""
    return event_id(broker_id, incarnation, _BLOW)


def parse_id(text: str) -> EventId:
    """Raises ValueError for a text that is no id; "" is NOTHING."""
    return event_id(*map(int, text.split("."))) if text else NOTHING


def id_text(number: int) -> str:
    return f"{number >> 56}.{number >> 24 & 0xFFFFFFFF}.{number & 0xFFFFFF}" if number else ""
