"""One segment's bytes: finding, skipping over, damage."""

from __future__ import annotations

import pytest
from log_builders import NOW_MS, a_batch

from model.errors import StorageFailure
from protocol.records import iter_batches
from storage.disk import OsDisk
from storage.segment import Segment


def a_segment(directory, sizes, base_offset=0):
    segment = Segment(directory, base_offset, OsDisk(), is_new=True)
    for n, size in enumerate(sizes):
        batch = a_batch(1, value=b"x" * size, timestamp=NOW_MS + n, base_offset=base_offset + n)
        segment.append(batch, list(iter_batches(batch)), 4096)
    return segment


MIXED = [10, 100_000, 10, 10, 70_000, 5_000_000, 10, 64_000, 1]


def test_headers_skip_over_large_batches(tmp_path):
    segment = a_segment(tmp_path, MIXED, base_offset=40)
    headers = list(segment.headers())
    assert [header.base_offset for header in headers] == list(range(40, 49))
    assert headers[-1].position + headers[-1].size == segment.size
    assert list(segment.sound_batches()) == headers
    assert list(segment.headers(headers[4].position)) == headers[4:]
    assert [segment.find(offset) for offset in range(40, 49)] == headers
    assert segment.find(49) is None


def test_the_largest_timestamp_is_known_after_reopening(tmp_path):
    segment = a_segment(tmp_path, [5_000] * 9)
    segment.seal()
    again = Segment(tmp_path, 0, OsDisk(), size=segment.size)
    assert (again.max_timestamp, again.offset_of_max_timestamp, again.first_timestamp) == (NOW_MS + 8, 8, NOW_MS)


@pytest.mark.parametrize("position", [8, 16, 21, 80])
def test_damage_ends_what_is_sound(tmp_path, position):
    segment = a_segment(tmp_path, [50] * 3)
    third = list(segment.headers())[2]
    with open(segment.log_path, "r+b") as file:
        file.seek(third.position + position)
        file.write(b"\xee")
    assert len(list(segment.sound_batches())) == 2


def test_a_file_that_is_shorter_than_it_should_be_is_a_storage_failure(tmp_path):
    segment = a_segment(tmp_path, [50] * 3)
    with open(segment.log_path, "r+b") as file:
        file.truncate(segment.size - 200)
    with pytest.raises(StorageFailure):
        list(segment.headers())


def test_a_segment_without_writes_has_no_files(tmp_path):
    segment = Segment(tmp_path, 0, OsDisk(), is_new=True)
    segment.write_indexes()
    assert (list(tmp_path.iterdir()), segment.max_timestamp, segment.offset_of_max_timestamp) == ([], -1, -1)
