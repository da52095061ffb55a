"""The small text files beside the logs: offsets, `meta.properties`, `partition.metadata`, the shutdown marker.

All are Kafka's formats and replaced as a whole: written aside as `.tmp`, then renamed, so a reader sees the old or the
new file and never half of one. A durable write survives power loss too: file and directory are fsynced.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import ConfigError
from model.ids import TopicId, TopicPartition, new_topic_id, topic_id_from_str, topic_id_to_str
from storage.disk import Disk

logger = logging.getLogger(__name__)

RECOVERY_POINTS = "recovery-point-offset-checkpoint"  # up to where each log is known to be on the platter
HIGH_WATERMARKS = "replication-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
CLEANED_UP_TO = "cleaner-offset-checkpoint"
META_PROPERTIES = "meta.properties"
PARTITION_METADATA = "partition.metadata"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
_ONE_PAGE = 4096


def read_whole(disk: Disk, path: Path) -> bytes | None:
    """The file's bytes, None when there is none."""
    return disk.read_all(path) if disk.exists(path) else None


def write_atomically(disk: Disk, path: Path, content: bytes, *, durable: bool) -> None:
    """Replace the file by one that holds `content`.

    Without `durable` a power failure may bring the old file back, or (rarely, by file system) leave an empty one.
    """
    aside = path.with_name(path.name + ".tmp")
    disk.truncate(aside, 0)  # what a crash left there may be longer
    disk.write(aside, content, 0)
    if durable:
        disk.sync(aside)
    disk.rename(aside, path)
    if durable:
        disk.sync_directory(path.parent)


class CheckpointFile:
    """A version line, a count line, and that many entries, one a line."""

    def __init__(self, path: Path, disk: Disk, version: int = 0) -> None:
        self.path = path
        self._disk = disk
        self._version = version

    def read(self) -> list[str]:
        """The entries; none when there is no file or it is empty.

        Raises ValueError when it is no checkpoint, of another version, or cut short.
        """
        content = read_whole(self._disk, self.path)
        if not content:
            return []
        if not content.endswith(b"\n"):  # the last number may have lost digits, and still be one
            raise ValueError(f"{self.path} is cut short")
        lines = content.decode("utf-8").splitlines()
        if int(lines[0]) != self._version:
            raise ValueError(f"{self.path} has version {lines[0]}, not {self._version}")
        entries = lines[2:]
        if len(lines) < 2 or int(lines[1]) != len(entries):
            raise ValueError(f"{self.path} holds {len(entries)} entries, not as many as it announces")
        return entries

    def salvage(self) -> list[str]:
        """The entries that a torn write has left whole; none when not even the version can be read."""
        lines = (read_whole(self._disk, self.path) or b"").decode("utf-8", "replace").split("\n")
        return lines[2:-1] if lines[0] == str(self._version) else []

    def write(self, entries: Iterable[str], *, durable: bool = True, in_place: bool = False) -> None:
        """`in_place` spares a small file the new inode and the renaming, some 0.5 ms in all.

        A killed process leaves no half of such a write behind; a power failure may, and then `read` says so.
        """
        rows = list(entries)
        content = _render(self._version, str(len(rows)), rows)
        if in_place and not durable:
            shorter = self._disk.size(self.path) - len(content)
            if shorter > 0:  # a longer file would have to be cut by a second step: make up for it in the count
                content = _render(self._version, str(len(rows)).zfill(shorter + len(str(len(rows)))), rows)
            if len(content) <= _ONE_PAGE:
                self._disk.write(self.path, content, 0)
                self._disk.close(self.path)
                return
        write_atomically(self._disk, self.path, _render(self._version, str(len(rows)), rows), durable=durable)


def _render(version: int, count: str, rows: list[str]) -> bytes:
    return "\n".join([str(version), count, *rows, ""]).encode("utf-8")


class OffsetCheckpoint:
    """One offset per partition, for all partitions of a data directory."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._file = CheckpointFile(path, disk)

    def read(self) -> dict[TopicPartition, int]:
        """Empty when there is no file, or it is damaged: every offset kept this way is a head start, not the truth."""
        try:
            offsets = {}
            for line in self._file.read():
                topic, partition, offset = line.split()
                offsets[TopicPartition(topic, int(partition))] = int(offset)
        except ValueError as error:
            logger.warning("ignoring the damaged checkpoint %s: %s", self._file.path, error)
            return {}
        return offsets

    def write(self, offsets: Mapping[TopicPartition, int], *, durable: bool = True) -> None:
        rows = [f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()]
        self._file.write(rows, durable=durable)


@dataclass(frozen=True, slots=True)
class MetaProperties:
    """Whose data a directory holds."""

    cluster_id: str
    node_id: int
    directory_id: str

    @classmethod
    def claim(cls, directory: Path, disk: Disk, *, cluster_id: str, node_id: int) -> MetaProperties:
        """Read the directory's `meta.properties`, or write it in a fresh one; done before anything else is touched.

        Raises ConfigError when the directory belongs to another cluster or broker, or the file makes no sense.
        """
        path = directory / META_PROPERTIES
        found = cls.read(path, disk)
        if found is None:
            found = cls(cluster_id, node_id, topic_id_to_str(new_topic_id()))
            found.write(path, disk)
        if found.cluster_id != cluster_id:
            raise ConfigError(
                f"{directory} belongs to cluster {found.cluster_id}, not {cluster_id}: "
                "choose another data directory, or remove this one if its data is no longer wanted"
            )
        if found.node_id != node_id:
            raise ConfigError(
                f"{directory} belongs to broker {found.node_id}, not {node_id}: give each broker its own data directory"
            )
        return found

    @classmethod
    def read(cls, path: Path, disk: Disk) -> MetaProperties | None:
        """None when there is no such file. Raises ConfigError when it lacks something."""
        content = read_whole(disk, path)
        if content is None:
            return None
        lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
        values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        try:
            return cls(values["cluster.id"], int(values["node.id"]), values.get("directory.id", ""))
        except (KeyError, ValueError) as error:
            raise ConfigError(f"{path} is damaged ({error}): restore it, or use a fresh data directory") from None

    def write(self, path: Path, disk: Disk) -> None:
        rows = {"cluster.id": self.cluster_id, "directory.id": self.directory_id, "node.id": self.node_id, "version": 1}
        text = "".join(f"{key}={value}\n" for key, value in rows.items())
        write_atomically(disk, path, text.encode("utf-8"), durable=True)


def read_topic_id(directory: Path, disk: Disk) -> TopicId | None:
    """The topic id in a partition directory's `partition.metadata`; None when absent or damaged."""
    content = read_whole(disk, directory / PARTITION_METADATA)
    for line in (content or b"").decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(": ")
        if key == "topic_id":
            try:
                return topic_id_from_str(value.strip())
            except ValueError:
                return None
    return None


def write_topic_id(directory: Path, topic_id: TopicId, disk: Disk, *, durable: bool = False) -> None:
    """A new file is simply written: one that a power failure tears reads as None, as if it were missing."""
    content = f"version: 0\ntopic_id: {topic_id_to_str(topic_id)}\n".encode()
    path = directory / PARTITION_METADATA
    if durable or disk.exists(path):
        write_atomically(disk, path, content, durable=durable)
    else:
        disk.write(path, content, 0)
        disk.close(path)


class CleanShutdownMarker:
    """Tells the next start that the logs were closed in order, so that it can skip recovery."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._path = directory / CLEAN_SHUTDOWN
        self._disk = disk

    def write(self, broker_epoch: int = -1) -> None:
        """The last thing a broker does, once all its logs are flushed."""
        content = json.dumps({"version": 0, "brokerEpoch": broker_epoch}, separators=(",", ":"))
        write_atomically(self._disk, self._path, content.encode("utf-8"), durable=True)

    def take(self) -> bool:
        """Was the last shutdown clean? Removes the marker, for the next one may not be.

        For good: if a power loss brought it back, logs would be believed that nobody has recovered.
        """
        if read_whole(self._disk, self._path) is None:
            return False
        self._disk.remove(self._path)
        self._disk.sync_directory(self._path.parent)
        return True
