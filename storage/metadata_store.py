"""Where the metadata log lives, and who may write it.

`MetadataStore` is what a controller needs from the world: one writer at a time, and records that are still there after
any death. `LocalMetadataStore` gives that to the processes of one machine with three files in the cluster's directory:

    controller.lock      flock'd by the controller; the kernel frees it at any death. Its text says who holds it.
    metadata.log         frames: length, CRC-32, then msgpack (controller_epoch, base_version, records)
    metadata.snapshot    one such frame, whose records build the image at the version that it names

A torn frame at the log's end is a batch that nobody was told of; the next controller cuts it off. Damage anywhere
else raises StorageFailure, for records that brokers acted on would be lost.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from model.errors import OdradekError, StorageFailure
from protocol.metadata_records import MetadataRecord

_HEADER = struct.Struct(">II")
_Frame = tuple[int, int, list[MetadataRecord]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Frame)


class LeaseLost(OdradekError):
    """The caller is not the controller (any more); nothing was written. Throw the controller away."""


class VersionConflict(OdradekError):
    """The log doesn't stand at the version that the records were made for; nothing was written."""


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """`records` build the image at `version`; `records_in_log` of them stand behind the snapshot."""

    controller_epoch: int
    version: int
    records: list[MetadataRecord]
    records_in_log: int


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    broker_id: int
    controller_epoch: int


class MetadataStore(Protocol):
    """All of it blocks, so call it from a thread, one call at a time."""

    def elect(self, broker_id: int) -> int:
        """Wait until this store holds the lease; the new controller epoch, above any that was ever written."""

    def get(self) -> StoredMetadata:
        """Everything that is durable."""

    def put_if_version(self, controller_epoch: int, base_version: int, records: Sequence[MetadataRecord]) -> int:
        """Make `records` durable as one whole; the version after them.

        Raises LeaseLost, VersionConflict, or StorageFailure (then the outcome is open and the lease is given up).
        """

    def put_snapshot(self, controller_epoch: int, version: int, records: Sequence[MetadataRecord]) -> None:
        """Let `records` stand for all up to `version`. Raises as `put_if_version` does."""

    def watch(self) -> LeaseHolder | None:
        """Who said last that it holds the lease; a hint to ask there, no proof that it still lives."""

    def resign(self) -> None:
        """Let somebody else have the lease; no trouble when it isn't held."""


class LocalMetadataStore:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock_path = directory / "controller.lock"
        self._log_path = directory / "metadata.log"
        self._snapshot_path = directory / "metadata.snapshot"
        self._lock = -1
        self._log = -1
        self._epoch = -1
        self._version = 0
        self._log_bytes = 0

    def elect(self, broker_id: int) -> int:
        self.resign()
        try:
            self._lock = self._wait_for_lock()
            self._log = os.open(self._log_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            _sync_directory(self._directory)
            stored, self._log_bytes = self._read()
            os.ftruncate(self._log, self._log_bytes)
            holder = self.watch()
            self._epoch = 1 + max(stored.controller_epoch, holder.controller_epoch if holder is not None else 0)
            self._version = stored.version
            text = json.dumps({"broker_id": broker_id, "controller_epoch": self._epoch}).encode()
            os.pwrite(self._lock, text.ljust(128), 0)
        except OSError as failure:
            self.resign()
            raise StorageFailure(f"the metadata log in {self._directory} can't be opened: {failure}") from failure
        except StorageFailure:
            self.resign()
            raise
        return self._epoch

    def get(self) -> StoredMetadata:
        try:
            return self._read()[0]
        except OSError as failure:
            raise StorageFailure(f"the metadata log in {self._directory} can't be read: {failure}") from failure

    def put_if_version(self, controller_epoch: int, base_version: int, records: Sequence[MetadataRecord]) -> int:
        self._check_lease(controller_epoch)
        if base_version != self._version:
            raise VersionConflict(f"the log stands at {self._version}, the records go on from {base_version}")
        frame = _framed(controller_epoch, base_version, records)
        try:
            if os.pwrite(self._log, frame, self._log_bytes) != len(frame):
                raise OSError("short write: the disk is full")
            os.fdatasync(self._log)
        except OSError as failure:
            self._forget_torn_frame()
            self.resign()
            raise StorageFailure(f"{self._log_path} can't be written: {failure}") from failure
        self._log_bytes += len(frame)
        self._version += len(records)
        return self._version

    def put_snapshot(self, controller_epoch: int, version: int, records: Sequence[MetadataRecord]) -> None:
        self._check_lease(controller_epoch)
        if version != self._version:
            raise VersionConflict(f"the log stands at {self._version}, the snapshot at {version}")
        new_path = self._snapshot_path.with_suffix(".tmp")
        try:
            with open(new_path, "wb") as file:
                file.write(_framed(controller_epoch, version, records))
                file.flush()
                os.fsync(file.fileno())
            os.replace(new_path, self._snapshot_path)
            _sync_directory(self._directory)  # the new name must be durable before the log loses what it stands for
            os.ftruncate(self._log, 0)
            os.fdatasync(self._log)
        except OSError as failure:
            self.resign()
            raise StorageFailure(f"{self._snapshot_path} can't be written: {failure}") from failure
        self._log_bytes = 0

    def watch(self) -> LeaseHolder | None:
        try:
            holder = json.loads(self._lock_path.read_bytes() or b"{}")
            return LeaseHolder(int(holder["broker_id"]), int(holder["controller_epoch"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def resign(self) -> None:
        for descriptor in (self._log, self._lock):
            if descriptor >= 0:
                os.close(descriptor)  # closing the lock's only descriptor frees it
        self._log = self._lock = -1

    def _wait_for_lock(self) -> int:
        while True:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_lock_file(descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # the file was replaced while we waited: its lock means nothing

    def _is_lock_file(self, descriptor: int) -> bool:
        try:
            named = os.stat(self._lock_path)
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(descriptor), named)

    def _check_lease(self, controller_epoch: int) -> None:
        if self._lock < 0 or controller_epoch != self._epoch:
            raise LeaseLost(f"epoch {controller_epoch} doesn't hold the lease")
        try:
            is_ours = self._is_lock_file(self._lock) and os.fstat(self._log).st_size == self._log_bytes
        except OSError as failure:
            raise StorageFailure(f"{self._directory} can't be read: {failure}") from failure
        if not is_ours:
            raise LeaseLost(f"somebody else has written {self._log_path} or replaced {self._lock_path}")

    def _forget_torn_frame(self) -> None:
        try:
            os.ftruncate(self._log, self._log_bytes)
        except OSError:
            pass  # the next controller cuts it off

    def _read(self) -> tuple[StoredMetadata, int]:
        """What is stored, and the log's size up to the last whole frame."""
        epoch, version = 0, 0
        records: list[MetadataRecord] = []
        if self._snapshot_path.exists():
            frame = _unframed(self._snapshot_path.read_bytes(), 0)
            if frame is None:
                raise StorageFailure(f"{self._snapshot_path} is damaged; restore it from a copy")
            (epoch, version, records), _ = frame
        log = self._log_path.read_bytes() if self._log_path.exists() else b""
        position, records_in_log = 0, 0
        while (next_frame := _unframed(log, position)) is not None:
            (frame_epoch, base_version, batch), position = next_frame
            if base_version < version:
                continue  # in the snapshot already: the process died before it could cut the log
            if base_version > version:
                raise StorageFailure(f"{self._log_path}: the records {version} to {base_version} are missing")
            records += batch
            version += len(batch)
            records_in_log += len(batch)
            epoch = max(epoch, frame_epoch)
        if _has_frame_after_damage(log, position):
            raise StorageFailure(f"{self._log_path} is damaged at byte {position}; restore it from a copy")
        return StoredMetadata(epoch, version, records, records_in_log), position


def _framed(controller_epoch: int, base_version: int, records: Sequence[MetadataRecord]) -> bytes:
    body = _encoder.encode((controller_epoch, base_version, records))
    return _HEADER.pack(len(body), zlib.crc32(body)) + body


def _unframed(buffer: bytes, position: int) -> tuple[_Frame, int] | None:
    """The frame at `position` and where the next one begins; None when there is no whole and sound one."""
    if position + _HEADER.size > len(buffer):
        return None
    length, crc = _HEADER.unpack_from(buffer, position)
    end = position + _HEADER.size + length
    body = memoryview(buffer)[position + _HEADER.size : end]
    if length == 0 or len(body) != length or zlib.crc32(body) != crc:
        return None
    try:
        return _decoder.decode(body), end
    except msgspec.MsgspecError as reason:
        raise StorageFailure(f"a sound frame of the metadata log can't be understood: {reason}") from reason


def _has_frame_after_damage(log: bytes, position: int) -> bool:
    if position + _HEADER.size > len(log):
        return False
    (length, _) = _HEADER.unpack_from(log, position)
    return _unframed(log, position + _HEADER.size + length) is not None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
