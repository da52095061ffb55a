"""The index of aborted transactions after a stop that was not clean."""

from __future__ import annotations

from pathlib import Path

from log_builders import NOW_MS, a_batch, a_log

from protocol.control_batches import control_batch
from storage.log import Log


def with_aborts(directory: Path, count: int = 6) -> Log:
    """Each aborted transaction is one record and its marker; two of them fill a segment, nearly."""
    log = a_log(directory, segment_bytes=500, index_interval_bytes=1)
    for number in range(count):
        batch = a_batch(producer_id=7, producer_epoch=0, base_sequence=number, transactional=True)
        log.append_as_leader(batch, 3, NOW_MS)
        marker = control_batch(
            is_commit=False, producer_id=7, producer_epoch=0, coordinator_epoch=1, timestamp=NOW_MS
        )
        log.append_as_leader(marker, 3, NOW_MS, from_client=False)
    return log


def test_recovery_from_any_point_finds_every_abort_once(tmp_path: Path) -> None:
    """Simulated seed 806: checking began inside a segment that others followed, and the log could not be opened."""
    log = with_aborts(tmp_path)
    assert len(log.segments) > 2
    aborts = log.aborted_transactions(0, log.log_end_offset)
    assert [row.last_offset for row in aborts] == [1, 3, 5, 7, 9, 11]
    for recovery_point in range(log.log_end_offset + 1):
        again = a_log(tmp_path, was_clean=False, recovery_point=recovery_point, index_interval_bytes=1)
        again.check()
        assert again.aborted_transactions(0, again.log_end_offset) == aborts
