"""Which logs are trusted after a start."""

from __future__ import annotations

from storage.boot_record import BootRecord
from storage.disk import OsDisk

LOGS = ("a-0", "b-0")


def a_record(directory, boot_id="boot-1", logs=LOGS):
    record = BootRecord(directory, OsDisk(), boot_id, logs)
    if record.has_changed:
        record.save()
    return record


def test_nothing_old_is_trusted_the_first_time(tmp_path):
    record = a_record(tmp_path)
    assert not record.trusts("a-0") and record.trusts("new-0")


def test_what_was_opened_in_this_boot_is_trusted_by_the_next_start(tmp_path):
    record = a_record(tmp_path)
    record.vouch_for("a-0")
    assert record.has_changed
    record.save()
    again = a_record(tmp_path)
    assert again.trusts("a-0") and not again.trusts("b-0"), "b-0 was never recovered since the machine came up"
    after_a_power_cut = a_record(tmp_path, "boot-2")
    assert not after_a_power_cut.trusts("a-0")


def test_a_clean_stop_needs_no_doubts(tmp_path):
    assert a_record(tmp_path, logs=()).trusts("a-0")


def test_a_log_whose_disk_failed_is_not_trusted(tmp_path):
    record = a_record(tmp_path, logs=())
    record.doubt("a-0")
    assert record.has_changed
    record.save()
    assert not a_record(tmp_path).trusts("a-0") and a_record(tmp_path).trusts("b-0")


def test_without_a_boot_id_nothing_is_trusted(tmp_path):
    a_record(tmp_path, "", logs=())
    assert not a_record(tmp_path, "", logs=()).trusts("a-0")


def test_a_record_that_cannot_be_written_is_removed(tmp_path):
    record = a_record(tmp_path, logs=())
    (tmp_path / ".boot.tmp").mkdir()
    record.doubt("a-0")
    record.save()
    (tmp_path / ".boot.tmp").rmdir()
    assert not a_record(tmp_path).trusts("b-0")
