"""The memory of where the latest batches start."""

from __future__ import annotations

from storage.batch_positions import BatchPositions


def filled(batches: int) -> BatchPositions:
    """Batches of two records and 100 bytes."""
    positions = BatchPositions()
    for n in range(batches):
        positions.add(2 * n, 2 * n + 2, 100 * n)
    return positions


def test_a_fetch_gets_whole_batches():
    positions = filled(10)
    assert positions.extent(4, 10_000, 20, 1_000) == (200, 1_000)
    assert positions.extent(5, 10_000, 20, 1_000) == (200, 1_000)
    assert positions.extent(4, 10_000, 8, 1_000) == (200, 400)
    assert positions.extent(4, 10_000, 9, 1_000) == (200, 500)
    assert positions.extent(4, 399, 20, 1_000) == (200, 500)
    assert positions.extent(4, 1, 20, 1_000) == (200, 300)
    assert positions.extent(19, 1, 20, 1_000) == (900, 1_000)


def test_what_is_too_old_or_not_there_is_unknown():
    positions = filled(5_000)
    assert len(positions) <= 2_048
    assert positions.extent(0, 100, 10_000, 500_000) is None
    assert positions.extent(10_000, 100, 10_000, 500_000) is None
    assert positions.extent(9_999, 100, 10_000, 500_000) == (499_900, 500_000)


def test_a_hole_starts_the_memory_anew():
    positions = filled(3)
    positions.add(50, 52, 300)
    assert positions.extent(4, 100, 52, 400) is None
    assert positions.extent(51, 100, 52, 400) == (300, 400)
