"""The text files beside the logs."""

from pathlib import Path

import pytest

from model.errors import ConfigError
from model.ids import TopicPartition, new_topic_id
from storage.checkpoints import (
    HIGH_WATERMARKS,
    CleanShutdownMarker,
    MetaProperties,
    OffsetCheckpoint,
    read_topic_id,
    write_atomically,
    write_topic_id,
)
from storage.disk import OsDisk


def test_offsets_come_back_and_the_file_is_kafkas(tmp_path: Path) -> None:
    path = tmp_path / HIGH_WATERMARKS
    offsets = {TopicPartition("orders", 0): 5, TopicPartition("a.b-c", 12): 2**40}
    OffsetCheckpoint(path, OsDisk()).write(offsets)
    assert path.read_text() == "0\n2\norders 0 5\na.b-c 12 1099511627776\n"
    assert OffsetCheckpoint(path, OsDisk()).read() == offsets


def test_no_file_means_no_offsets(tmp_path: Path) -> None:
    assert OffsetCheckpoint(tmp_path / HIGH_WATERMARKS, OsDisk()).read() == {}


@pytest.mark.parametrize("content", ["", "0\n2\na 0 1\n", "1\n0\n", "0\n1\na 0\n", "0\n1\na b c\n", "\x00"])
def test_a_damaged_checkpoint_is_no_head_start(tmp_path: Path, content: str) -> None:
    (tmp_path / HIGH_WATERMARKS).write_text(content)
    assert OffsetCheckpoint(tmp_path / HIGH_WATERMARKS, OsDisk()).read() == {}


def test_a_write_replaces_what_a_crash_left_aside(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_bytes(b"long rubbish from before")
    write_atomically(OsDisk(), tmp_path / "x", b"short", durable=True)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("x", b"short")]


def test_a_fresh_directory_is_claimed_once(tmp_path: Path) -> None:
    mine = MetaProperties.claim(tmp_path, OsDisk(), cluster_id="c1", node_id=2)
    assert MetaProperties.claim(tmp_path, OsDisk(), cluster_id="c1", node_id=2) == mine
    text = (tmp_path / "meta.properties").read_text()
    assert text == f"cluster.id=c1\ndirectory.id={mine.directory_id}\nnode.id=2\nversion=1\n"


def test_another_clusters_directory_is_refused_with_a_remedy(tmp_path: Path) -> None:
    MetaProperties.claim(tmp_path, OsDisk(), cluster_id="c1", node_id=2)
    with pytest.raises(ConfigError, match=r"belongs to cluster c1, not c2: choose another"):
        MetaProperties.claim(tmp_path, OsDisk(), cluster_id="c2", node_id=2)
    with pytest.raises(ConfigError, match=r"belongs to broker 2, not 3"):
        MetaProperties.claim(tmp_path, OsDisk(), cluster_id="c1", node_id=3)
    (tmp_path / "meta.properties").write_text("#Java was here\nversion=1\n")
    with pytest.raises(ConfigError, match="damaged"):
        MetaProperties.claim(tmp_path, OsDisk(), cluster_id="c1", node_id=2)


def test_a_partition_knows_its_topic_id(tmp_path: Path) -> None:
    assert read_topic_id(tmp_path, OsDisk()) is None
    topic_id = new_topic_id()
    write_topic_id(tmp_path, topic_id, OsDisk())
    assert read_topic_id(tmp_path, OsDisk()) == topic_id
    (tmp_path / "partition.metadata").write_text("version: 0\ntopic_id: nonsense\n")
    assert read_topic_id(tmp_path, OsDisk()) is None


def test_a_clean_shutdown_is_believed_once(tmp_path: Path) -> None:
    shutdown = CleanShutdownMarker(tmp_path, OsDisk())
    assert not shutdown.take()
    shutdown.write(broker_epoch=4)
    assert (tmp_path / ".kafka_cleanshutdown").read_text() == '{"version":0,"brokerEpoch":4}'
    assert shutdown.take()
    assert not shutdown.take()


def test_a_file_whose_last_number_is_cut_short_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / HIGH_WATERMARKS
    path.write_text("0\n1\norders 0 1234")
    assert OffsetCheckpoint(path, OsDisk()).read() == {}
