"""The data directory through clean stops, kills and power cuts."""

from __future__ import annotations

import pytest
from log_builders import a_batch
from upkeep_stage import TOPIC_ID, Stage, append, run

import actors.log_directory
from model.configs import LogConfig
from model.ids import TopicPartition
from storage.checkpoints import HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, read_topic_id
from storage.disk import OsDisk
from storage.loader import TRUST_ALL
from storage.log import Log

HERE = TopicPartition("t", 0)


@pytest.fixture
def opened(monkeypatch):
    """How each Log.open was asked to recover: (was_clean, recovery_point)."""
    asked = []
    original = Log.open.__func__

    def spy(cls, *args, **how):
        asked.append((how["was_clean"], how["recovery_point"]))
        return original(cls, *args, **how)

    monkeypatch.setattr(Log, "open", classmethod(spy))
    return asked


def boot(monkeypatch, boot_id):
    monkeypatch.setattr(actors.log_directory, "current_boot_id", lambda: boot_id)


def test_after_a_kill_everything_written_is_trusted_and_only_the_checkpoint_is_durable(tmp_path, opened, monkeypatch):
    boot(monkeypatch, "one")

    async def scenario():
        stage = Stage(tmp_path)
        log = stage.host().log
        append(log, a_batch(3))
        log.flush()
        append(log, a_batch(4))
        await stage.logs.checkpoint(RECOVERY_POINTS, {HERE: log.recovery_point})
        await stage.logs.checkpoint(HIGH_WATERMARKS, {HERE: 5}, durable=False)
        opened.clear()
        again = Stage(tmp_path).host()  # killed, not closed
        assert opened == [(False, TRUST_ALL)]
        assert (again.log.log_end_offset, again.log.recovery_point, again.high_watermark) == (7, 3, 5)

    run(scenario)


def test_after_a_power_cut_a_log_is_checked_from_its_recovery_point_once(tmp_path, opened, monkeypatch):
    boot(monkeypatch, "one")

    async def scenario():
        stage = Stage(tmp_path)
        append(stage.host().log, a_batch(3))
        append(stage.host("u").log, a_batch(3))
        await stage.logs.checkpoint(RECOVERY_POINTS, {HERE: 2})
        boot(monkeypatch, "two")
        opened.clear()
        stage = Stage(tmp_path)
        stage.host()
        await stage.logs.checkpoint(RECOVERY_POINTS, {HERE: 3})  # and killed before u-0 is opened
        stage = Stage(tmp_path)
        stage.host()
        stage.host("u")
        assert opened == [(False, 2), (False, TRUST_ALL), (False, 0)]

    run(scenario)


def test_a_clean_stop_leaves_its_marker_unless_a_disk_failed(tmp_path, opened):
    async def scenario():
        stage = Stage(tmp_path)
        append(stage.host().log, a_batch(3))
        await stage.close()
        opened.clear()
        stage = Stage(tmp_path)
        replica = stage.host()
        assert opened[0][0] and replica.log.recovery_point == 3
        replica.log.is_failed = True
        stage.logs.doubt(HERE)
        await stage.close()
        opened.clear()
        Stage(tmp_path).host()
        assert opened == [(False, 3)], "neither the marker nor the boot vouches for it"

    run(scenario)


def test_what_came_while_the_logs_were_synced_makes_the_stop_unclean(tmp_path, opened, monkeypatch):
    async def scenario():
        stage = Stage(tmp_path)
        log = stage.host().log
        append(log, a_batch(3))
        original = log.begin_flush

        def begin_flush():
            job = original()
            log.truncate_to(0)
            append(log, a_batch(3))
            return job

        monkeypatch.setattr(log, "begin_flush", begin_flush)
        await stage.close()
        opened.clear()
        again = Stage(tmp_path).host().log
        assert opened == [(False, TRUST_ALL)]
        assert again.recovery_point == 0, "what was synced is not what there is"

    run(scenario)


def test_deleted_records_stay_deleted_through_a_kill(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        log = stage.host().log
        append(log, a_batch(3), a_batch(3))
        log.advance_log_start(4)
        await stage.logs.checkpoint(LOG_STARTS, {HERE: 4})
        again = Stage(tmp_path).host().log
        assert (again.log_start_offset, again.log_end_offset) == (4, 6)

    run(scenario)


def test_a_new_topic_of_the_same_name_inherits_nothing(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        log = stage.host().log
        append(log, a_batch(3))
        log.advance_log_start(2)
        await stage.logs.checkpoint(LOG_STARTS, {HERE: 2})
        await stage.logs.checkpoint(HIGH_WATERMARKS, {HERE: 3})
        stage = Stage(tmp_path)
        log = stage.logs.open(HERE, bytes(15) + b"!", LogConfig(), 0)
        assert (log.log_start_offset, log.log_end_offset, stage.logs.high_watermark(HERE)) == (0, 0, 0)
        assert [path.name for path in tmp_path.glob("*-delete")] == []

    run(scenario)


def test_checkpoints_keep_what_is_not_open_and_lose_what_is_gone(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        stage.host("t")
        stage.host("u")
        await stage.logs.checkpoint(HIGH_WATERMARKS, {HERE: 5, TopicPartition("u", 0): 6})
        stage = Stage(tmp_path)
        stage.host("t")
        await stage.logs.checkpoint(HIGH_WATERMARKS, {HERE: 7})
        assert Stage(tmp_path).logs.known[HIGH_WATERMARKS] == {HERE: 7, TopicPartition("u", 0): 6}
        stage.logs.forget(TopicPartition("u", 0))
        await stage.logs.checkpoint(HIGH_WATERMARKS, {HERE: 8})
        assert Stage(tmp_path).logs.known[HIGH_WATERMARKS] == {HERE: 8}

    run(scenario)


def test_deletions_that_a_crash_cut_short_are_finished(tmp_path):
    doomed = tmp_path / "t-0.0123456789abcdef-delete"
    doomed.mkdir()
    (doomed / "00000000000000000000.log").write_bytes(b"x")

    async def scenario():
        await Stage(tmp_path).close()  # which waits for the thread
        assert not doomed.exists()

    run(scenario)


def test_a_checkpoint_that_cannot_be_written_is_tried_again(tmp_path, caplog):
    async def scenario():
        stage = Stage(tmp_path)
        stage.host()
        obstacle = tmp_path / f"{HIGH_WATERMARKS}.tmp"
        obstacle.mkdir()
        for _ in range(3):
            await stage.logs.checkpoint(HIGH_WATERMARKS, {HERE: 5})
        assert len([r for r in caplog.records if "could not be written" in r.message]) == 1
        obstacle.rmdir()
        await stage.logs.checkpoint(HIGH_WATERMARKS, {HERE: 5})
        assert Stage(tmp_path).logs.high_watermark(HERE) == 5

    run(scenario)


def test_topic_ids_are_written_once(tmp_path):
    async def scenario():
        Stage(tmp_path).host()
        path = tmp_path / "t-0" / "partition.metadata"
        before = path.stat().st_ino, path.stat().st_mtime_ns
        Stage(tmp_path).host()
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == before
        assert read_topic_id(path.parent, OsDisk()) == TOPIC_ID

    run(scenario)


def test_checkpoints_of_a_deleted_log_do_not_vouch_for_the_next_of_its_name(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        log = stage.host().log
        append(log, a_batch(6))
        for kind in (HIGH_WATERMARKS, RECOVERY_POINTS, LOG_STARTS):
            await stage.logs.checkpoint(kind, {HERE: 5})
        log.delete()
        stage.logs.forget(HERE)
        append(stage.host().log, a_batch(2))
        again = Stage(tmp_path)  # killed before any round of checkpoints
        assert all(HERE not in again.logs.known[kind] for kind in (HIGH_WATERMARKS, RECOVERY_POINTS, LOG_STARTS))
        assert again.host().log.recovery_point == 0

    run(scenario)


def test_what_is_about_to_be_cut_is_no_longer_called_durable(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        append(stage.host().log, a_batch(6))
        await stage.logs.checkpoint(RECOVERY_POINTS, {HERE: 6})
        stage.logs.lower_recovery_point(HERE, 8)
        assert Stage(tmp_path).logs.known[RECOVERY_POINTS] == {HERE: 6}
        stage.logs.lower_recovery_point(HERE, 4)
        assert Stage(tmp_path).logs.known[RECOVERY_POINTS] == {HERE: 4}

    run(scenario)


def test_a_clean_stop_cannot_speak_for_logs_that_were_never_opened(tmp_path, opened, monkeypatch):
    boot(monkeypatch, "one")

    async def scenario():
        append(Stage(tmp_path).host().log, a_batch(6))  # killed
        await Stage(tmp_path).close()  # stopped before the controller told it what it hosts
        opened.clear()
        assert Stage(tmp_path).host().log.recovery_point == 0
        assert opened == [(False, TRUST_ALL)]

    run(scenario)


def test_logs_that_are_not_ours_any_more_go_and_do_not_spoil_a_clean_stop(tmp_path):
    async def scenario():
        first = Stage(tmp_path)
        append(first.host("mine").log, a_batch(3))
        append(first.host("deleted-meanwhile").log, a_batch(3))
        (tmp_path / "not a log").mkdir()
        second = Stage(tmp_path)  # killed, and a topic was deleted before it came back
        second.host("mine")
        second.logs.remove_strays({"mine-0"})
        await second.close()
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["mine-0", "not a log"]
        assert Stage(tmp_path).logs._was_clean

    run(scenario)
