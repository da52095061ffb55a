"""A producer's counters, under the names that Java's producer gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clients.batch import Batch


class ProducerMetrics:
    """Written on the loop only."""

    def __init__(self) -> None:
        self.requests = self.batches = self.records = self.errors = self.retries = self.sent_bytes = 0
        self.latency_total_s = self.latency_max_s = 0.0
        self.last_error: BaseException | None = None

    def request(self, batches: list[tuple[Any, Batch]]) -> None:
        """One Produce request left."""
        self.requests += 1
        self.batches += len(batches)
        for _, batch in batches:
            self.sent_bytes += len(batch.encoded or b"")

    def answered(self, latency_s: float) -> None:
        self.latency_total_s += latency_s
        self.latency_max_s = max(self.latency_max_s, latency_s)

    def finished(self, batch: Batch, error: BaseException | None) -> None:
        if error is None:
            self.records += batch.count
        else:
            self.errors += batch.count
            self.last_error = error

    def snapshot(self, *, used: int, limit: int, in_flight: int) -> dict[str, float]:
        return {
            "request-total": self.requests,
            "record-send-total": self.records,
            "record-error-total": self.errors,
            "record-retry-total": self.retries,
            "byte-total": self.sent_bytes,
            "records-per-request-avg": self.records / self.requests if self.requests else 0.0,
            "batch-size-avg": self.sent_bytes / self.batches if self.batches else 0.0,
            "request-latency-avg": self.latency_total_s / self.requests * 1000 if self.requests else 0.0,
            "request-latency-max": self.latency_max_s * 1000,
            "requests-in-flight": in_flight,
            "buffer-total-bytes": limit,
            "buffer-available-bytes": max(0, limit - used),
        }
