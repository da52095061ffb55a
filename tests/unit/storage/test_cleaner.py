"""Planning and running a cleaning on a real log: what is left, what others may do meanwhile, what a crash leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.configs import LogConfig
from model.errors import CorruptMessage, StorageFailure
from model.ids import TopicPartition
from protocol.control_batches import control_batch
from protocol.records import Record, decode_records, encode_batch, iter_batches
from storage import loader
from storage.cleaner import CleaningResult, clean, run_to_end
from storage.cleaning_plan import CleaningPlan, plan_cleaning
from storage.disk import OsDisk
from storage.log import Log

NOW_MS = 1_000_000
CONFIG = LogConfig(
    is_compacted=True, is_deleted=False, segment_bytes=600, delete_retention_ms=1_000, min_cleanable_dirty_ratio=0.0
)


def open_log(directory: Path, disk: OsDisk, *, config: LogConfig = CONFIG, was_clean: bool = False) -> Log:
    recovery_point = loader.TRUST_ALL if not was_clean else 0
    return Log.open(
        directory, TopicPartition("t", 0), config, disk=disk, now_ms=NOW_MS, was_clean=was_clean,
        recovery_point=recovery_point,
    )  # fmt: skip


def put(log: Log, *pairs: tuple[str, str | None], codec: str = "none", producer: int = -1, sequence: int = -1) -> None:
    records = [Record(-1, NOW_MS, key.encode(), None if value is None else value.encode()) for key, value in pairs]
    batch = encode_batch(
        records, codec=codec, producer_id=producer, producer_epoch=0 if producer >= 0 else -1, base_sequence=sequence,
        transactional=producer >= 0,
    )  # fmt: skip
    log.append_as_leader(batch, 0, NOW_MS)


def end_transaction(log: Log, producer: int, *, is_commit: bool) -> None:
    marker = control_batch(
        is_commit=is_commit, producer_id=producer, producer_epoch=0, coordinator_epoch=0, timestamp=NOW_MS
    )
    log.append_as_leader(marker, 0, NOW_MS, from_client=False)


def records_of(log: Log, up_to: int | None = None, *, committed: bool = False) -> list[Record]:
    """What a consumer reads; with `committed`, one of committed records."""
    end = log.log_end_offset if up_to is None else up_to
    found: list[Record] = []
    offset = log.log_start_offset
    while offset < end and (chunk := log.read(offset, 10_000, up_to=end)):
        aborted = log.aborted_transactions(offset, end) if committed else []
        for header in iter_batches(chunk):
            assert header.next_offset > offset, "batches rise"
            offset = header.next_offset
            is_aborted = header.is_transactional and any(
                row.producer_id == header.producer_id and row.first_offset <= header.base_offset < row.last_offset
                for row in aborted
            )
            if not header.is_control and not is_aborted:
                found += decode_records(chunk, header)
    return found


def table_of(log: Log, *, committed: bool = True) -> dict[bytes | None, bytes]:
    """The last value of each key, without deleted ones."""
    unstable = log.producers.first_undecided_offset
    table = {record.key: record.value for record in records_of(log, unstable, committed=committed)}
    return {key: value for key, value in table.items() if value is not None}


def cleaning_of(log: Log, disk: OsDisk, *, now_ms: int = NOW_MS, cleaned_up_to: int | None = None) -> CleaningResult:
    log.producers.on_high_watermark(log.log_end_offset)
    plan = plan_cleaning(log, cleaned_up_to=cleaned_up_to, high_watermark=log.log_end_offset, now_ms=now_ms)
    assert plan is not None
    return run_to_end(clean(log, plan, disk=disk, now_ms=now_ms))


def fill(log: Log, count: int = 60, keys: int = 5, codec: str = "none") -> None:
    for n in range(count):
        put(log, (f"key-{n % keys}", f"value-{n}"), codec=codec)


class TestCleaning:
    @pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
    def test_the_log_shrinks_and_the_table_stays(self, tmp_path: Path, codec: str) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        for n in range(30):
            put(log, *((f"key-{m % 5}", f"{'value' * 5}-{n}-{m}") for m in range(10)), codec=codec)
        before, end, size = table_of(log), log.log_end_offset, log.size_bytes
        result = cleaning_of(log, disk)
        log.check()
        assert result.cleaned_up_to == log.active.base_offset and not result.was_overtaken
        assert log.size_bytes < size / 2 and result.tally.bytes_kept < result.tally.bytes_read / 2
        assert (table_of(log), log.log_end_offset) == (before, end)
        offsets = [record.offset for record in records_of(log, log.active.base_offset)]
        assert offsets == sorted(offsets) and len(offsets) <= 6
        log.close()
        assert table_of(open_log(tmp_path / "t-0", OsDisk(), was_clean=True)) == before

    def test_small_segments_are_merged(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        fill(log)
        assert len(log.segments) > 5
        cleaning_of(log, disk)
        cleaning_of(log, disk)
        assert len(log.segments) <= 3
        assert not [path.name for path in (tmp_path / "t-0").iterdir() if path.suffix in (".cleaned", ".swap")]

    def test_lookups_by_offset_and_time_work_after(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        fill(log)
        cleaning_of(log, disk)
        kept = records_of(log)
        for offset in range(log.log_end_offset):
            chunk = log.read(offset, 1, up_to=log.log_end_offset)
            last_offset = next(iter_batches(chunk)).last_offset
            assert last_offset >= offset and not [r for r in kept if offset <= r.offset < last_offset]
        found = log.offset_for_timestamp(NOW_MS, log.log_end_offset)
        assert found is not None and found.offset == kept[0].offset

    def test_tombstones_go_after_the_retention_time(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        put(log, ("gone", "1"))
        put(log, ("gone", None))
        fill(log, 20)
        up_to = cleaning_of(log, disk).cleaned_up_to
        assert [r.value for r in records_of(log) if r.key == b"gone"] == [None]
        fill(log, 20)
        up_to = cleaning_of(log, disk, cleaned_up_to=up_to, now_ms=NOW_MS + 999).cleaned_up_to
        assert [r.value for r in records_of(log) if r.key == b"gone"] == [None]
        fill(log, 20)
        cleaning_of(log, disk, cleaned_up_to=up_to, now_ms=NOW_MS + 1_000)
        assert not [r for r in records_of(log) if r.key == b"gone"]

    def test_aborted_transactions_vanish(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        put(log, ("key-0", "good"))
        for n in range(10):
            put(log, ("key-0", f"bad-{n}"), producer=7, sequence=n)
            end_transaction(log, 7, is_commit=False)
        fill(log, 10, keys=1)
        log.roll(NOW_MS)
        before = table_of(log)
        up_to = cleaning_of(log, disk).cleaned_up_to
        assert not [r for r in records_of(log) if r.value is not None and r.value.startswith(b"bad")]
        assert len(log.aborted_transactions(0, up_to)) == 10, "their markers have seen batches in this cleaning"
        fill(log, 10, keys=1)
        up_to = cleaning_of(log, disk, cleaned_up_to=up_to).cleaned_up_to
        fill(log, 10, keys=1)
        cleaning_of(log, disk, cleaned_up_to=up_to, now_ms=NOW_MS + 10_000)
        assert len(log.aborted_transactions(0, up_to)) == 1, "only of the live producer's last write is a header left"
        control = [h for s in log.segments for h in s.headers() if h.is_control]
        assert len(control) == 1
        assert {key: value for key, value in before.items() if key != b"key-0"} == {}

    def test_producers_are_remembered(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        put(log, ("key-0", "1"), producer=7, sequence=41)
        end_transaction(log, 7, is_commit=True)
        fill(log)
        cleaning_of(log, disk)
        for snapshot in (tmp_path / "t-0").glob("*.snapshot"):
            snapshot.unlink()
        reopened = open_log(tmp_path / "t-0", OsDisk())
        entry = reopened.producers.get(7)
        assert entry is not None and entry.last_sequence == 41

    def test_only_so_many_keys_fit_at_once(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        fill(log, 60, keys=30)
        before, up_to, rounds = table_of(log), None, 0
        while (plan := plan_cleaning(log, cleaned_up_to=up_to, high_watermark=60, now_ms=NOW_MS)) is not None:
            result = run_to_end(clean(log, plan, disk=disk, now_ms=NOW_MS, max_keys=4))
            assert result.cleaned_up_to > plan.first_dirty_offset
            assert table_of(log) == before
            up_to, rounds = result.cleaned_up_to, rounds + 1
        assert rounds > 5

    def test_damage_is_not_dressed_up(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        fill(log)
        disk.write(log.segments[0].log_path, b"\xff", 70)
        with pytest.raises(CorruptMessage):
            cleaning_of(log, disk)


class TestPlan:
    def plan(self, log: Log, *, up_to: int | None = None, high_watermark: int = 10**9) -> CleaningPlan | None:
        return plan_cleaning(log, cleaned_up_to=up_to, high_watermark=high_watermark, now_ms=NOW_MS)

    def test_whole_segments_below_the_high_watermark_and_never_the_active_one(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", OsDisk())
        fill(log)
        bases = [segment.base_offset for segment in log.segments]
        everything = self.plan(log)
        assert everything is not None and everything.end_offset == bases[-1]
        some = self.plan(log, high_watermark=bases[3] + 1)
        assert some is not None and (some.end_offset, len(some.segments)) == (bases[3], 3)
        assert self.plan(log, high_watermark=bases[1] - 1) is None

    def test_nothing_undecided(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", OsDisk())
        fill(log, 20)
        start = log.log_end_offset
        put(log, ("x", "1"), producer=7, sequence=0)
        fill(log, 20)
        plan = self.plan(log)
        assert plan is not None and plan.end_offset <= start

    def test_only_when_dirty_enough_or_overdue(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", OsDisk(), config=CONFIG._replace(min_cleanable_dirty_ratio=0.5))
        fill(log)
        bases = [segment.base_offset for segment in log.segments]
        assert self.plan(log) is not None
        assert self.plan(log, up_to=bases[-2]) is None
        assert self.plan(log, up_to=bases[-1]) is None
        log.update_config(log.config._replace(max_compaction_lag_ms=1))
        assert plan_cleaning(log, cleaned_up_to=bases[-2], high_watermark=10**9, now_ms=NOW_MS + 2) is not None

    def test_a_checkpoint_outside_the_log_counts_for_nothing(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", OsDisk())
        fill(log)
        plan = self.plan(log, up_to=10_000)
        assert plan is not None and plan.first_dirty_offset == 0

    def test_young_records_wait(self, tmp_path: Path) -> None:
        log = open_log(tmp_path / "t-0", OsDisk(), config=CONFIG._replace(min_compaction_lag_ms=100))
        fill(log)
        assert self.plan(log) is None
        assert plan_cleaning(log, cleaned_up_to=None, high_watermark=60, now_ms=NOW_MS + 101) is not None


class TestMeanwhile:
    def steps(self, log: Log, disk: OsDisk) -> tuple[CleaningPlan, object]:
        plan = plan_cleaning(log, cleaned_up_to=None, high_watermark=log.log_end_offset, now_ms=NOW_MS)
        assert plan is not None
        return plan, clean(log, plan, disk=disk, now_ms=NOW_MS)

    def test_no_step_is_long(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk, config=CONFIG._replace(segment_bytes=400_000))
        for n in range(1_000):
            put(log, *((f"key-{n}", "v" * 100) for _ in range(10)))
        log.roll(NOW_MS)
        plan = plan_cleaning(log, cleaned_up_to=None, high_watermark=10_000, now_ms=NOW_MS)
        assert plan is not None
        assert sum(1 for _ in clean(log, plan, disk=disk, now_ms=NOW_MS)) > 2 * log.size_bytes / 100_000

    @pytest.mark.parametrize("deed", ["truncate", "truncate fully", "delete", "config", "roll"])
    def test_what_happens_between_any_two_steps(self, tmp_path: Path, deed: str) -> None:
        for moment in range(100):
            disk = OsDisk()
            log = open_log(tmp_path / f"{moment}" / "t-0", disk)
            fill(log, 30)
            plan = plan_cleaning(log, cleaned_up_to=None, high_watermark=30, now_ms=NOW_MS)
            assert plan is not None
            steps = clean(log, plan, disk=disk, now_ms=NOW_MS)
            ran_out = False
            for _ in range(moment):
                try:
                    work = next(steps)
                except StopIteration:
                    ran_out = True
                    break
                if work is not None:
                    work()
            if deed == "truncate":
                log.truncate_to(plan.end_offset - 2)
            elif deed == "truncate fully":
                log.truncate_fully_and_start_at(100)
            elif deed == "delete":
                log.update_config(CONFIG._replace(is_deleted=True, retention_bytes=500))
                log.apply_retention(NOW_MS, 30)
            elif deed == "config":
                log.update_config(CONFIG._replace(is_compacted=False))
            else:
                put(log, ("key-0", "latest"))
                log.roll(NOW_MS)
            before = table_of(log)
            if not ran_out:
                result = run_to_end(steps)
                assert result.was_overtaken or deed in ("roll", "delete")
                assert not (result.was_overtaken and deed == "roll")
            log.check()
            assert table_of(log) == before
            log.close()
            assert not [path for path in log.directory.iterdir() if path.suffix in (".cleaned", ".swap")]
            assert table_of(open_log(log.directory, OsDisk())) == before
            if ran_out:
                return
        pytest.fail("the cleaning never ended")

    def test_a_cleaning_that_is_closed_leaves_nothing_behind(self, tmp_path: Path) -> None:
        disk = OsDisk()
        log = open_log(tmp_path / "t-0", disk)
        fill(log)
        _, steps = self.steps(log, disk)
        next(steps)  # type: ignore[call-overload]
        next(steps)  # type: ignore[call-overload]
        steps.close()  # type: ignore[attr-defined]
        assert not [path for path in log.directory.iterdir() if path.suffix in (".cleaned", ".swap")]
        assert cleaning_of(log, disk).was_overtaken is False

    def test_a_full_disk_while_writing_does_not_take_the_log_down(self, tmp_path: Path) -> None:
        disk = FailingDisk()
        log = open_log(tmp_path / "t-0", disk)
        fill(log)
        before = table_of(log)
        disk.fail_on = ".log.cleaned"
        with pytest.raises(StorageFailure):
            cleaning_of(log, disk)
        assert not log.is_failed and table_of(log) == before
        disk.fail_on = ""
        cleaning_of(log, disk)
        assert table_of(log) == before


class FailingDisk(OsDisk):
    """Refuses writes to some files."""

    fail_on = ""

    def write(self, path: str | Path, buffer: bytes | bytearray | memoryview, position: int) -> None:
        if self.fail_on and str(path).endswith(self.fail_on):
            raise StorageFailure("disk full")
        super().write(path, buffer, position)


class Crash(BaseException):
    """kill -9."""


class CrashingDisk(OsDisk):
    """Dies before its n-th change."""

    changes_left = 10**9

    def _count(self) -> None:
        if self.changes_left <= 0:
            raise Crash
        self.changes_left -= 1

    def write(self, path: str | Path, buffer: bytes | bytearray | memoryview, position: int) -> None:
        self._count()
        super().write(path, buffer, position)

    def truncate(self, path: str | Path, size: int) -> None:
        self._count()
        super().truncate(path, size)

    def rename(self, old: str | Path, new: str | Path) -> None:
        self._count()
        super().rename(old, new)

    def remove(self, path: str | Path) -> None:
        self._count()
        super().remove(path)


def test_a_crash_at_any_moment_leaves_a_log_with_the_same_table(tmp_path: Path) -> None:
    for moment in range(500):
        directory = tmp_path / f"{moment}" / "t-0"
        disk = CrashingDisk()
        log = open_log(directory, disk)
        fill(log, 24)
        put(log, ("key-0", "bad"), producer=7, sequence=0)
        end_transaction(log, 7, is_commit=False)
        fill(log, 12)
        before, end = table_of(log), log.log_end_offset
        disk.changes_left = moment
        try:
            cleaning_of(log, disk)
            has_crashed = False
        except Crash:
            has_crashed = True
        reopened = open_log(directory, OsDisk())
        reopened.check()
        assert (table_of(reopened), reopened.log_end_offset) == (before, end), f"after {moment} changes"
        assert not [path for path in directory.iterdir() if path.suffix in (".cleaned", ".swap")]
        cleaning_of(reopened, OsDisk())
        assert table_of(reopened) == before
        if not has_crashed:
            assert moment > 20
            return
    pytest.fail("the cleaning never ended")


Step = tuple[str, int, int]
steps_of_a_log = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "delete", "txn", "commit", "abort", "clean", "reopen"]),
        st.integers(0, 5),
        st.integers(0, 4),
    ),
    min_size=20,
    max_size=80,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps_of_a_log)
def test_readers_of_committed_records_never_notice(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[Step]
) -> None:
    directory = tmp_path_factory.mktemp("log") / "t-0"
    disk = OsDisk()
    log = open_log(directory, disk)
    sequences: dict[int, int] = {}
    cleaned_up_to, now_ms = None, NOW_MS
    for number, (step, key, producer) in enumerate(steps):
        if step in ("put", "delete"):
            value = None if step == "delete" else f"v{number}"
            put(log, (f"k{key}", value), (f"k{producer}", "x" * 40), codec=["none", "gzip", "lz4", "zstd"][key % 4])
        elif step == "txn":
            put(log, (f"k{key}", f"t{number}"), producer=producer, sequence=sequences.get(producer, 0))
            sequences[producer] = sequences.get(producer, 0) + 1
        elif step in ("commit", "abort"):
            end_transaction(log, producer, is_commit=step == "commit")
        elif step == "clean":
            log.producers.on_high_watermark(log.log_end_offset)
            log.roll(NOW_MS)
            plan = plan_cleaning(log, cleaned_up_to=cleaned_up_to, high_watermark=log.log_end_offset, now_ms=now_ms)
            if plan is None:
                continue
            before = table_of(log)
            cleaned_up_to = run_to_end(clean(log, plan, disk=disk, now_ms=now_ms)).cleaned_up_to
            now_ms += 600
            assert table_of(log) == before
            log.check()
        else:
            before, end, snapshot = table_of(log), log.log_end_offset, log.producers.encode()
            log.close()
            for path in directory.glob("*.snapshot"):
                path.unlink()
            log = open_log(directory, disk, was_clean=key % 2 == 0)
            assert (table_of(log), log.log_end_offset) == (before, end)
            assert sorted(
                (e.producer_id, e.epoch, e.last_sequence, e.current_txn_first_offset) for e in log.producers
            ) == (
                sorted((e.producer_id, e.epoch, e.last_sequence, e.current_txn_first_offset) for e in decoded(snapshot))
            )
            log.check()


def decoded(snapshot: bytes) -> list:  # type: ignore[type-arg]
    from storage.producer_state import ProducerStateMap

    return list(ProducerStateMap.decode(snapshot))
