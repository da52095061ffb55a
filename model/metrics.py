"""Every metric of a process: one row each in METRICS; `/metrics`, the dashboard and docs follow from the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """`kind` counter: only grows, counted from the process's start. `kind` gauge: read when asked."""

    name: str
    kind: Literal["counter", "gauge"]
    doc: str


# fmt: off
METRICS: dict[str, Metric] = {row.name: row for row in (
    Metric("requests", "counter", "Kafka requests answered or dropped, all API keys."),
    Metric("requests_failed", "counter", "Requests whose handler raised something that isn't a KafkaError."),
    Metric("requests_malformed", "counter", "Frames that could not be decoded; each closes its connection."),
    Metric("connections_opened", "counter", "Client connections accepted."),
    Metric("connections_refused", "counter", "Client connections closed at once because of max.connections."),
    Metric("connections_open", "gauge", "Client connections open now."),
    Metric("bytes_in", "counter", "Bytes of record batches taken from producers."),
    Metric("bytes_out", "counter", "Bytes of record batches given to consumers."),
    Metric("batches_in", "counter", "Record batches taken from producers."),
    Metric("records_in", "counter", "Records taken from producers."),
    Metric("replication_bytes_in", "counter", "Bytes of record batches taken from leaders."),
    Metric("replication_bytes_out", "counter", "Bytes of record batches pushed to followers."),
    Metric("bus_messages_in", "counter", "Messages from other processes."),
    Metric("bus_messages_out", "counter", "Messages to other processes."),
    Metric("bus_bytes_in", "counter", "Bytes from other processes, buffers included."),
    Metric("bus_bytes_out", "counter", "Bytes to other processes, buffers included."),
    Metric("bus_stale_dropped", "counter", "Messages dropped because their sender's incarnation is over."),
    Metric("bus_epoch_dropped", "counter", "Messages dropped because of an old leader epoch."),
    Metric("bus_out_of_credit", "counter", "Messages refused because the peer has not returned enough credit."),
    Metric("bus_unroutable", "counter", "Messages to a peer without connection or to an address nobody has."),
    Metric("actor_failures", "counter", "Exceptions that escaped from an actor."),
    Metric("actor_restarts", "counter", "Actors started again by their supervisor."),
    Metric("actors", "gauge", "Actors alive now."),
    Metric("partitions_led", "gauge", "Partitions this broker leads."),
    Metric("partitions_followed", "gauge", "Partitions this broker follows."),
    Metric("partitions_offline", "gauge", "Partitions offline here because of a disk failure."),
    Metric("partitions_under_replicated", "gauge", "Partitions led here whose ISR is smaller than the replica list."),
    Metric("isr_shrinks", "counter", "Followers put out of an ISR led here."),
    Metric("isr_expands", "counter", "Followers taken back into an ISR led here."),
    Metric("leader_elections", "counter", "Leaders elected by this process while it was the controller."),
    Metric("unclean_leader_elections", "counter", "Of these, leaders from outside the ISR."),
    Metric("controller_active", "gauge", "1 in the broker that is the controller."),
    Metric("log_flushes", "counter", "fsyncs of a log's segments."),
    Metric("segments_rolled", "counter", "Segments closed because they were full or old."),
    Metric("segments_deleted", "counter", "Segments deleted by retention or DeleteRecords."),
)}
# fmt: on


class Metrics:
    """The counters and gauges of one process. Not for several threads."""

    __slots__ = ("_counts", "_gauges")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {row.name: 0 for row in METRICS.values() if row.kind == "counter"}
        self._gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, n: int = 1) -> None:
        """Raises KeyError when `name` has no counter's row."""
        self._counts[name] += n

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """`read` is called at each snapshot; registering a name again replaces it, as a restarted actor does."""
        if METRICS[name].kind != "gauge":
            raise KeyError(name)
        self._gauges[name] = read

    def snapshot(self) -> dict[str, float]:
        """Every counter and every gauge that was registered, by name."""
        return {**self._counts, **{name: read() for name, read in self._gauges.items()}}
