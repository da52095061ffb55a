"""The actor that compacts: which log, how it goes on, and what makes it let go."""

from __future__ import annotations

import asyncio

from log_builders import NOW_MS, a_batch, offsets_in
from upkeep_stage import Stage, append, run, until

from actors.actor_system import ActorSystem
from actors.log_cleaner import CLEANER_PATH, LogCleaner
from model.errors import StorageFailure
from storage.checkpoints import CLEANED_UP_TO
from storage.disk import OsDisk


def a_cleaner(stage: Stage) -> LogCleaner:
    ActorSystem().start(CLEANER_PATH, lambda: LogCleaner(stage))
    assert isinstance(stage.cleaner, LogCleaner)
    return stage.cleaner


def dirty(stage: Stage, name: str = "t", batches: int = 12, **config: object):
    replica = stage.host(name, **{"segment_bytes": 500, "is_compacted": True, "is_deleted": False, **config})
    for number in range(batches):
        append(replica.log, a_batch(4, timestamp=NOW_MS + number))
    replica.high_watermark = replica.log.log_end_offset
    return replica


def test_a_dirty_log_is_compacted_and_the_checkpoint_says_so(tmp_path):
    async def scenario():
        stage = Stage(tmp_path, log_cleaner_backoff_ms="0")
        replica = dirty(stage)
        cleaner = a_cleaner(stage)
        await until(lambda: any(cleaner.cleaned_up_to.values()))
        first_active = replica.log.active.base_offset
        assert cleaner.cleaned_up_to == {replica.partition: first_active}
        left = [offset for offset in offsets_in(replica.log) if offset < first_active]
        assert left == list(range(first_active - 4, first_active)), "the last of each key"
        await until(lambda: Stage(tmp_path).logs.known[CLEANED_UP_TO] == cleaner.cleaned_up_to)
        replica.log.check()
        cleaner.system.stop_all()
        assert stage.cleaner is None

    run(scenario)


def test_the_filthiest_comes_first_and_the_overdue_before_it(tmp_path):
    async def scenario():
        stage = Stage(tmp_path, log_cleaner_backoff_ms="100000")
        cleaner = a_cleaner(stage)
        await asyncio.sleep(0)
        half, whole = dirty(stage, "half"), dirty(stage, "whole")
        dirty(stage, "deleted", is_compacted=False, is_deleted=True)
        cleaner.cleaned_up_to[half.partition] = half.log.segments[2].base_offset
        assert cleaner.choose()[0] is whole
        overdue = dirty(stage, "overdue", min_cleanable_dirty_ratio=1.0)
        assert cleaner.choose()[0] is whole
        overdue.log.config = overdue.log.config._replace(max_compaction_lag_ms=10)
        stage.now_ms += 1_000
        chosen, plan = cleaner.choose()
        assert chosen is overdue
        assert plan.end_offset == overdue.log.log_end_offset, "the active segment was rolled for it"
        cleaner.system.stop_all()

    run(scenario)


def test_a_damaged_log_is_left_alone_and_the_others_are_cleaned(tmp_path, caplog):
    async def scenario():
        stage = Stage(tmp_path, log_cleaner_backoff_ms="0")
        bad, good = dirty(stage, "bad", 24), dirty(stage, "good")
        path = bad.log.segments[0].log_path
        stage.disk.write(path, b"\xff", 100)
        cleaner = a_cleaner(stage)
        await until(lambda: cleaner.cleaned_up_to.get(good.partition))
        assert not cleaner.cleaned_up_to[bad.partition] and cleaner.choose() is None
        assert [r.message for r in caplog.records if r.message.startswith("bad-0 can't be compacted")]
        assert stage.failed == [] and not bad.log.is_failed
        cleaner.system.stop_all()

    run(scenario)


def test_a_disk_that_fails_takes_the_partition_offline(tmp_path):
    class FailingDisk(OsDisk):
        def sync(self, path) -> None:
            if "bad-0" in str(path) and str(path).endswith(".cleaned"):
                raise StorageFailure(f"cannot sync {path}: Input/output error")
            super().sync(path)

    async def scenario():
        stage = Stage(tmp_path, disk=FailingDisk(), log_cleaner_backoff_ms="0")
        bad, good = dirty(stage, "bad", 24), dirty(stage, "good")
        cleaner = a_cleaner(stage)
        await until(lambda: cleaner.cleaned_up_to.get(good.partition))
        assert [replica for replica, _ in stage.failed] == [bad]
        cleaner.system.stop_all()

    run(scenario)


def test_a_cleaning_lets_go_of_a_log_that_ends(tmp_path):
    async def scenario():
        stage = Stage(tmp_path, log_cleaner_backoff_ms="0")
        replica, other = dirty(stage, "t", 400), dirty(stage, "u", 12)
        cleaner = a_cleaner(stage)
        await until(lambda: list(replica.log.directory.glob("*.cleaned")))
        assert cleaner._log is replica.log
        cleaner.release(replica.log)
        cleaner.release(replica.log)
        assert not list(replica.log.directory.glob("*.cleaned"))
        del stage.hosted[replica.partition]
        replica.log.delete()
        await until(lambda: cleaner.cleaned_up_to.get(other.partition))
        assert stage.failed == []
        cleaner.system.stop_all()

    run(scenario)


def test_what_replaces_a_truncated_end_is_dirty(tmp_path):
    async def scenario():
        stage = Stage(tmp_path, log_cleaner_backoff_ms="0")
        replica = dirty(stage)
        cleaner = a_cleaner(stage)
        await until(lambda: any(cleaner.cleaned_up_to.values()))
        replica.log.truncate_to(6)
        cleaner.truncated(replica)
        assert cleaner.cleaned_up_to == {replica.partition: replica.log.log_end_offset}
        cleaner.system.stop_all()

    run(scenario)


def test_the_configured_speed_is_kept(tmp_path):
    async def scenario():
        stage = Stage(tmp_path, log_cleaner_io_max_bytes_per_second="1048576.0")
        cleaner = a_cleaner(stage)
        assert cleaner._rest_s(0.002) == 0.25
        stage.broker.config = type(stage.broker.config)({})
        assert cleaner._rest_s(0.002) == 0.002
        cleaner.system.stop_all()

    run(scenario)
