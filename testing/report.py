"""What a failed test is told about its cluster: the last events, the brokers' last words, the state of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testing.cluster import Cluster

EVENTS = 40
LOG_LINES = 20
ACTORS = 60
_TAIL_BYTES = 16_384


def sections(cluster: Cluster) -> list[tuple[str, str]]:
    """Title and text, without the empty ones. Never raises for a cluster that is in pieces."""
    found = [
        ("Kafka output", _last(cluster.output(), EVENTS)),
        ("Kafka events", _events(cluster)),
        ("Kafka brokers", _brokers(cluster)),
    ]
    for log in sorted((cluster.data_dir / "logs").glob("broker-*.log")):
        with open(log, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            found.append((f"Kafka {log.name}", _last(file.read().decode(errors="replace"), LOG_LINES)))
    found.append(("Kafka actors", _actors(cluster)))
    return [(title, text) for title, text in found if text]


def _events(cluster: Cluster) -> str:
    from chaos.timeline import Timeline, lines, read_files

    timeline = Timeline(read_files(cluster.data_dir))
    return "\n".join(lines(timeline, timeline.events[-EVENTS:]))


def _last(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:])


def _brokers(cluster: Cluster) -> str:
    holder = cluster.controller_id
    return "\n".join(
        f"{broker}  {row['state']:<9} pid {row.get('pid')}  {row['host']}:{row['port']}  incarnation "
        f"{row['incarnation']}  restarts {row['restarts']}{'  controller' if broker == holder else ''}"
        for broker, row in sorted(cluster.brokers().items())
    )


def _actors(cluster: Cluster) -> str:
    """The tree of each broker, the busiest of many siblings only."""
    rows = cluster.statistics()
    busiest = sorted(rows, key=lambda path: (-rows[path].failures, -rows[path].restarts, -rows[path].handled))
    lines = []
    for path in sorted(busiest[:ACTORS]):
        row = rows[path]
        lines.append(
            f"{path:<44} {'runs' if row.is_running else 'DOWN'}  inbox {row.inbox_depth} (max {row.inbox_depth_max})  "
            f"handled {row.handled}  failures {row.failures}  restarts {row.restarts}"
        )
    if len(rows) > ACTORS:
        lines.append(f"… and {len(rows) - ACTORS} that did less")
    return "\n".join(lines)
