"""Each kind of event as a sentence. A kind that is not listed here is told by its name and details."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocol.events import Event

Details = dict[str, Any]


def words(event: Event) -> str:
    """One line, without the time."""
    tell = _SENTENCES.get(event.kind)
    details = event.details
    try:
        return tell(event, details) if tell is not None else _by_name(event, details)
    except KeyError:  # written by another version
        return _by_name(event, details)


def _by_name(event: Event, details: Details) -> str:
    rest = " ".join(f"{name}={value}" for name, value in details.items())
    return f"{event.subject}: {event.kind} {rest}".rstrip()


def _isr(event: Event, d: Details) -> str:
    moves = [f"{broker} joined" for broker in d["joined"]] + [f"{broker} left" for broker in d["left"]]
    return f"ISR of {event.subject} is {','.join(map(str, d['isr']))} ({', '.join(moves)}): {d['reason']}"


def _leader(event: Event, d: Details) -> str:
    was = "" if d["was"] < 0 else f" (was {d['was']})"
    if d["leader"] < 0:
        return f"{event.subject} has no leader, epoch {d['epoch']}{was}: {d['reason']}"
    return f"leader of {event.subject} is {d['leader']}, epoch {d['epoch']}{was}: {d['reason']}"


def _fault(event: Event, d: Details) -> str:
    if "unheard" in d:
        cuts = "; ".join(f"{one} is not heard by {','.join(map(str, deaf))}" for one, deaf in d["unheard"].items())
        return f"{d['deed']} {d['fault']}, {d['shape']}: {cuts}"
    if "api" in d:
        which = f"{d['nth']}" if d["count"] == 1 else f"{d['nth']} to {d['nth'] + d['count'] - 1}"
        return f"{d['deed']} {d['fault']} on {event.subject}: {d['api']} {which}, {d['what']}"
    how = " ".join(f"{name}={value}" for name, value in d.items() if name not in ("fault", "deed") and value != "")
    return f"{d.get('deed', 'inject')} {d['fault']} on {event.subject} {how}".rstrip()


def _rebalance(event: Event, d: Details) -> str:
    moves = [f"{_few(d[name])} {what}" for name, what in _MOVES if d.get(name)]
    why = ", ".join(moves) or "its subscriptions or their partitions changed"
    return f"{event.subject} begins generation {d['generation']} with {d['members']} members: {why}"


_MOVES = (("joined", "joined"), ("left", "left"), ("silent", "was not heard any more"))


def _few(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


_SENTENCES: dict[str, Callable[[Event, Details], str]] = {
    "signal": lambda e, d: f"{d['signal']} to {e.subject} (pid {d['pid']})",
    "fault": _fault,
    "damaged": lambda e, d: f"{d['by']} of {e.subject} on broker {d['of']}",
    "fault-refused": lambda e, d: f"refused: {d['reason']}",
    "cluster-stops": lambda e, d: "the cluster is stopped",
    "broker-stops": lambda e, d: f"{e.subject} is told to stop (pid {d['pid']})",
    "broker-started": lambda e, d: f"{e.subject} starts as incarnation {d['incarnation']} (pid {d['pid']})",
    "broker-ready": lambda e, d: f"{e.subject} is ready on port {d['port']}",
    "broker-down": lambda e, d: f"{e.subject} is down: {d['reason']}",
    "broker-fenced": lambda e, d: f"the supervisor kills {e.subject}: {d['reason']}",
    "broker-given-up": lambda e, d: f"{e.subject} died too often and stays down: {d['reason']}",
    "broker-gave-up": lambda e, d: f"{e.subject} ends itself: {d['reason']}",
    "broker-removed": lambda e, d: f"{e.subject} is fenced: {d['reason']}",
    "broker-registered": lambda e, d: f"{e.subject} is registered as incarnation {d['incarnation']}",
    "controller-resigned": lambda e, d: f"broker {e.broker} gives up being the controller: {d['reason']}",
    "controller-elected": lambda e, d: f"broker {d['controller']} is the controller, epoch {d['epoch']}",
    "leader-elected": _leader,
    "leading": lambda e, d: f"broker {e.broker} leads {e.subject} from {d['log_end_offset']}, epoch {d['epoch']}",
    "isr-changed": _isr,
    "truncated": lambda e, d: f"broker {e.broker} truncates {e.subject} from {d['was']} to {d['log_end_offset']}",
    "tail-cut": lambda e, d: f"broker {e.broker} cuts {d['bytes']} torn or damaged bytes off {e.subject}",
    "replica-offline": lambda e, d: f"{e.subject} goes offline on broker {e.broker}: {d['reason']}",
    "actor-crashed": lambda e, d: f"actor {e.subject} of broker {e.broker} crashed: {d['error']}",
    "rebalance": _rebalance,
    "producer-fenced": lambda e, d: f"{e.subject}: producer {d['producer_id']} epoch {d['epoch']} is fenced",
}
