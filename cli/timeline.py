"""timeline: what happened to a cluster of this machine, and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DataDir, Json
from cli.output import Mistake, say
from cli.output import line as json_line

if TYPE_CHECKING:
    from chaos.timeline import Timeline
    from protocol.events import Event

_LOOK_EVERY_S = 0.1


def timeline(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and tell what happens next.")] = False,
    topic: Annotated[str | None, typer.Option("--topic", "-t", help="Only what happened to it, with causes.")] = None,
    last: Annotated[int, typer.Option("--last", "-n", help="Only so many events, 0 for all.")] = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """What happened to a cluster of this machine, and why.

    Elections, fencing, ISR changes, rebalances, truncations, restarts and crashes, each below its cause. Without
    --data-dir: of the only cluster with a temporary folder.
    """
    from chaos.timeline import Follower
    from cli.place import data_dir_of

    if last < 0:
        raise Mistake(f"--last {last}: it is a number of events")
    follower = Follower(data_dir_of(data_dir))
    events = follower.fresh()
    if topic is not None:
        events = follower.timeline.about(topic)
        if not events and not follow:
            say(f"nothing is told of a topic {topic}")
    _print(follower.timeline, events[-last:] if last else events, as_json, is_folded=topic is None)
    while follow:
        time.sleep(_LOOK_EVERY_S)
        fresh = follower.fresh()
        if topic is not None and fresh:
            wanted = {event.id for event in follower.timeline.about(topic)}
            fresh = [event for event in fresh if event.id in wanted]
        _print(follower.timeline, fresh, as_json, is_folded=topic is None)


def _print(found: Timeline, events: list[Event], as_json: bool, *, is_folded: bool) -> None:
    from chaos.timeline import lines, plain

    for text in map(json_line, map(plain, events)) if as_json else lines(found, events, is_folded=is_folded):
        print(text, flush=True)
