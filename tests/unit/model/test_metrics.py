from __future__ import annotations

import pytest

from model.metrics import METRICS, Metrics


def test_a_counter_counts_from_zero() -> None:
    metrics = Metrics()
    assert metrics.snapshot()["requests"] == 0
    metrics.count("requests")
    metrics.count("requests", 4)
    assert metrics.snapshot()["requests"] == 5


def test_a_gauge_is_read_when_asked_and_only_if_somebody_gave_it() -> None:
    metrics = Metrics()
    assert "actors" not in metrics.snapshot()
    alive: list[str] = []
    metrics.gauge("actors", lambda: len(alive))
    alive.append("broker")
    assert metrics.snapshot()["actors"] == 1


def test_a_name_without_a_row_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Metrics().count("requets")
    with pytest.raises(KeyError):
        Metrics().gauge("requests", lambda: 1)


def test_every_row_has_a_doc() -> None:
    assert all(row.doc.endswith(".") and name == row.name for name, row in METRICS.items())
