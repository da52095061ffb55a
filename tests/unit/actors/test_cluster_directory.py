import os
from pathlib import Path

import pytest

from actors.broker_spec import BrokerSpec
from actors.cluster_directory import ClusterDirectory, RunDirectory
from actors.cluster_file import BrokerEntry, ClusterFile
from model.errors import ConfigError


@pytest.fixture(autouse=True)
def _own_temporary_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))


def test_a_cluster_keeps_its_id(tmp_path: Path) -> None:
    first = ClusterDirectory.open(tmp_path / "data")
    ClusterFile(cluster_id=first.cluster_id).write(first.path, is_durable=True)
    first.close()
    second = ClusterDirectory.open(tmp_path / "data")
    assert second.cluster_id == first.cluster_id
    assert len(first.cluster_id) == 22
    second.close()


def test_a_directory_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    holder = ClusterDirectory.open(tmp_path / "data")
    with pytest.raises(ConfigError, match="another cluster uses"):
        ClusterDirectory.open(tmp_path / "data")
    holder.close()
    ClusterDirectory.open(tmp_path / "data").close()


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("x")
    with pytest.raises(ConfigError, match="holds other files"):
        ClusterDirectory.open(tmp_path)
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("content", [b"", b"{", b'{"name": "not ours"}', b"\xff"])
def test_a_cluster_file_of_something_else_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cluster.json").write_bytes(content)
    with pytest.raises(ConfigError, match="was not written by Odradek"):
        ClusterDirectory.open(tmp_path)


def test_a_path_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="can't write to"):
        ClusterDirectory.open(tmp_path / "file")


def test_a_temporary_directory_goes_with_its_cluster() -> None:
    directory = ClusterDirectory.open(None)
    (directory.path / "broker-1").mkdir()
    directory.close()
    assert not directory.path.exists()


def test_run_directories_of_the_dead_are_removed_and_those_of_the_living_kept(tmp_path: Path) -> None:
    stale = tmp_path / "t" / "odradek-run-0123456789"
    stale.mkdir()
    (stale / ".lock").touch()
    living = RunDirectory()
    another = RunDirectory()
    assert not stale.exists()
    assert living.path.exists()
    assert len(os.fsencode(living.path)) <= 60
    another.close()
    living.close()
    assert not living.path.exists()


def test_the_cluster_file_survives_a_round_trip(tmp_path: Path) -> None:
    entry = BrokerEntry(1, 42, "127.0.0.1", 9092, "ipc://x", "running", 3, 2)
    written = ClusterFile("id", "ready", 41, 1, "127.0.0.1:9092", (entry,))
    written.write(tmp_path)
    assert ClusterFile.read(tmp_path) == written
    assert (written.incarnation_of(1), written.incarnation_of(2)) == (3, 0)
    assert [path.name for path in tmp_path.glob("*cluster.json*")] == ["cluster.json"]


def test_a_broker_spec_survives_the_link() -> None:
    spec = BrokerSpec(
        broker_id=1,
        incarnation=2,
        cluster_id="c",
        cluster_dir=Path("/c"),
        data_dir=Path("/c/broker-1"),
        run_dir=Path("/r"),
        log_dir=Path("/c/logs"),
        host="::1",
        port=9092,
        overrides={"a": "b\nc"},
        log_level="info",
        supervisor_pid=7,
        supervisor_incarnation=8,
        supervisor_data_endpoint="d",
        supervisor_control_endpoint="e",
    )
    encoded = spec.encode()
    assert b"\n" not in encoded
    assert BrokerSpec.decode(encoded) == spec
