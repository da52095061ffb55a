"""Flushes, retention, checkpoints and producer expiry, as the actor does them."""

from __future__ import annotations

import shutil

from log_builders import NOW_MS, a_batch
from upkeep_stage import Stage, append, run, until

from actors.actor_system import ActorSystem
from actors.log_upkeep import UPKEEP_PATH, LogUpkeep, Rolled, Truncated
from model.errors import StorageFailure
from model.ids import TopicPartition
from storage.checkpoints import HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS
from storage.disk import OsDisk


def start(stage: Stage) -> LogUpkeep:
    made: list[LogUpkeep] = []

    def make() -> LogUpkeep:
        made.append(LogUpkeep(stage))
        return made[0]

    ActorSystem().start(UPKEEP_PATH, make)
    return made[0]


def filled(stage: Stage, name: str = "t", batches: int = 10, **config: int):
    replica = stage.host(name, **{"segment_bytes": 300, **config})
    for number in range(batches):
        append(replica.log, a_batch(2, timestamp=NOW_MS + number))
    replica.high_watermark = replica.log.log_end_offset
    return replica


class FailingDisk(OsDisk):
    has_failed = False

    def sync(self, path) -> None:
        if self.has_failed:
            raise StorageFailure(f"cannot sync {path}: Input/output error")
        super().sync(path)


def test_what_lies_behind_a_roll_is_flushed_and_the_recovery_point_written_down(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        start(stage)
        replica = stage.host(segment_bytes=300)
        system = ActorSystem.of_running_loop()
        replica.log.on_roll = lambda: system.tell(UPKEEP_PATH, Rolled(replica))
        for _ in range(10):
            append(replica.log, a_batch(2))
        await until(lambda: replica.log.recovery_point == 20)
        await until(lambda: Stage(tmp_path).logs.known[RECOVERY_POINTS] == {replica.partition: 20})
        system.stop_all()

    run(scenario)


def test_a_file_that_retention_took_from_a_flush_does_no_harm(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        upkeep = start(stage)
        replica = filled(stage)
        job = replica.log.begin_flush()
        replica.log.config = replica.log.config._replace(retention_ms=1)
        replica.log.apply_retention(NOW_MS + 1_000_000, replica.high_watermark)
        job.run()
        shutil.rmtree(replica.log.directory)  # and the topic goes as well
        job.run()
        assert not replica.log.is_failed
        await upkeep.flush(filled(stage, "u"))
        assert stage.failed == []
        upkeep.system.stop_all()

    run(scenario)


def test_an_fsync_that_fails_takes_the_partition_offline_and_no_other(tmp_path):
    async def scenario():
        disk = FailingDisk()
        stage = Stage(tmp_path, disk=disk)
        upkeep = start(stage)
        first, second = filled(stage, "t"), filled(stage, "u")
        disk.has_failed = True
        await upkeep.flush(first)
        disk.has_failed = False
        await upkeep.flush(second)
        assert [replica for replica, _ in stage.failed] == [first] and first.log.is_failed
        assert (first.log.recovery_point, second.log.recovery_point) == (0, 20)
        upkeep.system.stop_all()

    run(scenario)


def test_flush_ms_is_heeded(tmp_path):
    async def scenario():
        stage = Stage(tmp_path)
        upkeep = start(stage)
        timed, other = filled(stage, "t", flush_ms=1_000), filled(stage, "u")
        stage.now_ms += 999
        await upkeep.flush_round()
        assert not upkeep._is_flushing
        stage.now_ms += 1
        await upkeep.flush_round()
        await until(lambda: timed.log.recovery_point == 20)
        assert other.log.recovery_point == 0
        upkeep.system.stop_all()

    run(scenario)


def test_retention_visits_all_in_slices_and_leaves_out_what_goes_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr("actors.log_upkeep.SLICE_S", 0.0)
    monkeypatch.setattr("actors.log_upkeep.REST_S", 0.0)

    async def scenario():
        stage = Stage(tmp_path)
        upkeep = start(stage)
        replicas = [filled(stage, f"t{n}", retention_ms=1) for n in range(4)]
        replicas[1].is_offline = True
        stage.now_ms += 1_000
        work = upkeep.spawn(upkeep.retention_round())
        del stage.hosted[TopicPartition("t3", 0)]
        await work
        assert [replica.log.log_start_offset for replica in replicas] == [20, 0, 20, 0]
        upkeep.system.stop_all()

    run(scenario)


def test_silent_producers_are_forgotten(tmp_path):
    async def scenario():
        stage = Stage(tmp_path, producer_id_expiration_ms="5000")
        upkeep = start(stage)
        log = stage.host().log
        append(log, a_batch(1, producer_id=7, producer_epoch=0, base_sequence=0))
        stage.now_ms += 4_999
        await upkeep.expire_producers()
        assert len(log.producers) == 1
        stage.now_ms += 1
        await upkeep.expire_producers()
        assert len(log.producers) == 0
        upkeep.system.stop_all()

    run(scenario)


def test_the_round_that_forgets_them_comes_as_often_as_it_is_told(tmp_path):
    async def scenario():
        stage = Stage(tmp_path, producer_id_expiration_ms="5000", producer_id_expiration_check_interval_ms="10")
        upkeep = start(stage)
        log = stage.host().log
        append(log, a_batch(1, producer_id=7, producer_epoch=0, base_sequence=0))
        stage.now_ms += 5_000
        await until(lambda: not len(log.producers))
        upkeep.system.stop_all()

    run(scenario)


def test_the_rounds_write_what_has_moved(tmp_path):
    async def scenario():
        stage = Stage(
            tmp_path,
            replica_high_watermark_checkpoint_interval_ms="10",
            log_flush_offset_checkpoint_interval_ms="10",
            log_flush_start_offset_checkpoint_interval_ms="10",
        )
        upkeep = start(stage)
        replica = filled(stage)
        replica.log.advance_log_start(6)
        here = replica.partition

        def written() -> bool:
            known = Stage(tmp_path).logs.known
            return known[HIGH_WATERMARKS] == {here: 20} and known[LOG_STARTS] == {here: 6}

        await until(written)
        replica.log.flush()
        await until(lambda: Stage(tmp_path).logs.known[RECOVERY_POINTS] == {here: 20})
        replica.log.truncate_to(10)
        upkeep.tell(UPKEEP_PATH, Truncated())
        await until(lambda: Stage(tmp_path).logs.known[RECOVERY_POINTS][here] <= 10)
        upkeep.system.stop_all()

    run(scenario)
