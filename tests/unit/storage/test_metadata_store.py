"""The metadata log: one writer, and what it was told is durable comes back, whatever is left of the file."""

import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import StorageFailure
from protocol.metadata_records import BrokerRecord, ControllerRecord, PartitionRecord, ProducerIdsRecord, TopicRecord
from storage.metadata_store import LeaseHolder, LeaseLost, LocalMetadataStore, VersionConflict

BATCHES = [
    [ControllerRecord(1, 1)],
    [TopicRecord("t", b"i" * 16), PartitionRecord("t", 0, (1, 2), (1,), 1, 0, 0)],
    [BrokerRecord(1, 7, "host", 9092, None), ProducerIdsRecord(1000)],
]
ALL = [record for batch in BATCHES for record in batch]


def a_store(directory, broker_id=1):
    store = LocalMetadataStore(directory)
    return store, store.elect(broker_id)


def put_all(store, epoch, batches=BATCHES, version=0):
    for batch in batches:
        version = store.put_if_version(epoch, version, batch)
    return version


def test_what_was_put_comes_back_and_each_election_is_a_new_epoch(tmp_path):
    store, epoch = a_store(tmp_path)
    assert epoch == 1
    assert put_all(store, epoch) == 5
    store.resign()
    store, epoch = a_store(tmp_path)
    assert epoch == 2
    stored = store.get()
    assert (stored.records, stored.version, stored.records_in_log, stored.controller_epoch) == (ALL, 5, 5, 1)


def test_an_epoch_is_never_given_twice_even_if_nothing_was_written(tmp_path):
    epochs = []
    for broker_id in (1, 2, 3):
        store, epoch = a_store(tmp_path, broker_id)
        epochs.append(epoch)
        assert store.watch() == LeaseHolder(broker_id, epoch)
        store.resign()
    assert epochs == [1, 2, 3]


def test_only_the_holder_writes(tmp_path):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch)
    with pytest.raises(LeaseLost):
        store.put_if_version(epoch - 1, 5, BATCHES[0])
    with pytest.raises(VersionConflict):
        store.put_if_version(epoch, 4, BATCHES[0])
    store.resign()
    with pytest.raises(LeaseLost):
        store.put_if_version(epoch, 5, BATCHES[0])
    with pytest.raises(LeaseLost):
        LocalMetadataStore(tmp_path).put_if_version(epoch, 5, BATCHES[0])
    assert LocalMetadataStore(tmp_path).get().version == 5


def test_a_holder_notices_that_its_lock_file_was_replaced_or_its_log_written_by_another(tmp_path):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch)
    with open(tmp_path / "metadata.log", "ab") as file:
        file.write(b"x")
    with pytest.raises(LeaseLost):
        store.put_if_version(epoch, 5, BATCHES[0])
    store.resign()
    store, epoch = a_store(tmp_path)
    (tmp_path / "controller.lock").unlink()
    other, _ = a_store(tmp_path)
    with pytest.raises(LeaseLost):
        store.put_if_version(epoch, 5, BATCHES[0])
    other.resign()


def test_an_election_waits_for_the_holder_to_resign(tmp_path):
    first, _ = a_store(tmp_path)
    second = LocalMetadataStore(tmp_path)
    epochs = []
    thread = threading.Thread(target=lambda: epochs.append(second.elect(2)), daemon=True)
    thread.start()
    assert epochs == [] and first.watch() == LeaseHolder(1, 1)
    first.resign()
    thread.join(10)
    assert epochs == [2]


def test_the_kernel_frees_the_lease_of_a_killed_holder(tmp_path):
    code = (
        "import sys, pathlib; from storage.metadata_store import LocalMetadataStore\n"
        "LocalMetadataStore(pathlib.Path(sys.argv[1])).elect(1); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert holder.stdout.readline() == b"held\n"
    second = LocalMetadataStore(tmp_path)
    epochs = []
    thread = threading.Thread(target=lambda: epochs.append(second.elect(2)), daemon=True)
    thread.start()
    assert epochs == []
    holder.kill()
    holder.communicate()
    thread.join(10)
    assert epochs == [2]


def test_a_torn_tail_at_every_byte_loses_only_the_last_batch(tmp_path):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch, BATCHES[:2])
    whole = (tmp_path / "metadata.log").stat().st_size
    store.put_if_version(epoch, 3, BATCHES[2])
    store.resign()
    log = (tmp_path / "metadata.log").read_bytes()
    for size in range(whole, len(log)):
        (tmp_path / "metadata.log").write_bytes(log[:size])
        store, epoch = a_store(tmp_path)
        assert store.get().records == ALL[:3]
        assert store.put_if_version(epoch, 3, BATCHES[2]) == 5
        assert store.get().records == ALL
        store.resign()


def test_damage_before_a_sound_frame_is_not_taken_for_a_torn_tail(tmp_path):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch)
    store.resign()
    log = bytearray((tmp_path / "metadata.log").read_bytes())
    log[10] ^= 1
    (tmp_path / "metadata.log").write_bytes(log)
    with pytest.raises(StorageFailure, match="damaged at byte 0"):
        a_store(tmp_path)


def test_a_snapshot_stands_for_the_log(tmp_path):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch)
    store.put_snapshot(epoch, 5, ALL)
    assert (tmp_path / "metadata.log").stat().st_size == 0
    store.put_if_version(epoch, 5, [ProducerIdsRecord(2000)])
    store.resign()
    stored = a_store(tmp_path)[0].get()
    assert (stored.version, stored.records_in_log, stored.records) == (6, 1, [*ALL, ProducerIdsRecord(2000)])


def test_a_death_between_snapshot_and_cutting_the_log_repeats_nothing(tmp_path):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch)
    log = (tmp_path / "metadata.log").read_bytes()
    store.put_snapshot(epoch, 5, ALL)
    store.resign()
    (tmp_path / "metadata.log").write_bytes(log)
    store, epoch = a_store(tmp_path)
    assert store.get().records == ALL
    store.put_if_version(epoch, 5, [ProducerIdsRecord(2000)])
    assert LocalMetadataStore(tmp_path).get().version == 6


def test_a_damaged_snapshot_and_missing_records_are_storage_failures(tmp_path):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch)
    store.put_snapshot(epoch, 5, ALL)
    store.put_if_version(epoch, 5, [ProducerIdsRecord(2000)])
    store.resign()
    snapshot = tmp_path / "metadata.snapshot"
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[:-1])
    with pytest.raises(StorageFailure, match="damaged"):
        a_store(tmp_path)
    snapshot.unlink()
    with pytest.raises(StorageFailure, match="missing"):
        a_store(tmp_path)


def test_a_disk_that_fails_costs_the_lease(tmp_path, monkeypatch):
    store, epoch = a_store(tmp_path)
    put_all(store, epoch)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.metadata_store.os.pwrite", no_space)
    with pytest.raises(StorageFailure, match="No space"):
        store.put_if_version(epoch, 5, BATCHES[0])
    monkeypatch.undo()
    other, _ = a_store(tmp_path)
    assert other.get().records == ALL


records = st.sampled_from(ALL)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["put", "snapshot", "reopen"]), st.lists(records, min_size=1, max_size=3))))
def test_any_history_comes_back(tmp_path_factory, history):
    directory = tmp_path_factory.mktemp("store")
    store, epoch = a_store(directory)
    expected = []
    for what, batch in history:
        if what == "put":
            assert store.put_if_version(epoch, len(expected), batch) == len(expected) + len(batch)
            expected += batch
        elif what == "snapshot":
            store.put_snapshot(epoch, len(expected), expected)
        else:
            store.resign()
            store, epoch = a_store(directory)
        stored = store.get()
        assert (stored.records, stored.version) == (expected, len(expected))
    store.resign()
