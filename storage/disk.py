"""Everything that storage does to files, in one place: `Disk` for the types, `OsDisk` for the machine's own.

Files are named by path, not by handle: `OsDisk` keeps the most recently used descriptors open and closes the rest, so
that thousands of partitions fit under any `ulimit -n`. The simulator supplies a Disk that forgets what was not synced.
Every OSError (a full disk too) becomes StorageFailure, which takes the partition offline.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import threading
from pathlib import Path
from typing import Protocol

from model.errors import StorageFailure

Buffer = bytes | bytearray | memoryview
PathLike = str | Path
_LARGE_BYTES = 16 << 20


class Disk(Protocol):
    """Paths are str or Path; a caller on the hot path keeps a str."""

    def read(self, path: PathLike, length: int, position: int) -> bytes:
        """Up to `length` bytes from `position`; fewer only at the end of the file."""

    def read_all(self, path: PathLike) -> bytes:
        """The whole file. Raises StorageFailure when there is none."""

    def write(self, path: PathLike, buffer: Buffer, position: int) -> None:
        """All of `buffer` at `position`; makes the file if there is none. Not durable before `sync`."""

    def sync(self, path: PathLike) -> None:
        """Make the file's bytes durable. Touches no shared state, so it may run in another thread."""

    def sync_directory(self, directory: PathLike) -> None:
        """Make names made, renamed or removed in `directory` durable."""

    def truncate(self, path: PathLike, size: int) -> None:
        """Cut the file to `size` bytes (0 makes an empty file if there is none)."""

    def rename(self, old: PathLike, new: PathLike) -> None:
        """Atomically give a file or a directory another name; a file of that name is replaced."""

    def remove(self, path: PathLike) -> None:
        """Remove the file; no trouble when there is none."""

    def remove_tree(self, directory: PathLike) -> None:
        """Remove a directory and all in it; no trouble when there is none."""

    def list(self, directory: PathLike) -> dict[str, int]:
        """Names of the files in `directory` with their sizes (subdirectories with size -1)."""

    def make_directory(self, directory: PathLike) -> None:
        """Make it and its parents unless they exist."""

    def exists(self, path: PathLike) -> bool: ...

    def size(self, path: PathLike) -> int:
        """Bytes of the file, 0 when there is none."""

    def close(self, path: PathLike) -> None:
        """Let go of what is kept open for `path`; it opens again when used."""

    def close_all(self) -> None:
        """Let go of everything that is kept open."""


class OsDisk:
    """The machine's file system. One instance per process, used from the event loop only (but for `sync`)."""

    def __init__(self, max_open_files: int | None = None) -> None:
        if max_open_files is None:
            soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            max_open_files = 4096 if soft_limit < 0 else max(16, min(4096, soft_limit // 2))
        self._max_open_files = max_open_files
        self._descriptors: dict[str, int] = {}  # in order of use, oldest first

    @property
    def open_files(self) -> int:
        return len(self._descriptors)

    def _descriptor(self, path: PathLike, flags: int) -> int:
        path = str(path)
        descriptors = self._descriptors
        descriptor = descriptors.pop(path, None)
        if descriptor is None:
            while len(descriptors) >= self._max_open_files:
                os.close(descriptors.pop(next(iter(descriptors))))
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o644)
        descriptors[path] = descriptor
        return descriptor

    def read(self, path: PathLike, length: int, position: int) -> bytes:
        try:
            descriptor = self._descriptor(path, 0)
            chunk = os.pread(descriptor, length, position)
            if len(chunk) == length or not chunk:
                return chunk
            pieces = [chunk]
            missing = length - len(chunk)
            position += len(chunk)
            while missing and (chunk := os.pread(descriptor, missing, position)):
                pieces.append(chunk)
                missing -= len(chunk)
                position += len(chunk)
            return b"".join(pieces) if len(pieces) > 1 else pieces[0]
        except OSError as error:
            raise _failure("read", path, error) from error

    def read_all(self, path: PathLike) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise _failure("read", path, error) from error

    def write(self, path: PathLike, buffer: Buffer, position: int) -> None:
        try:
            descriptor = self._descriptor(path, os.O_CREAT)
            written = os.pwrite(descriptor, buffer, position)
            if written != len(buffer):
                self._write_rest(descriptor, memoryview(buffer)[written:], position + written)
        except OSError as error:
            raise _failure("write", path, error) from error

    @staticmethod
    def _write_rest(descriptor: int, rest: memoryview, position: int) -> None:
        """A write stops short before the disk is full; the next one says ENOSPC."""
        while rest:
            written = os.pwrite(descriptor, rest, position)
            rest = rest[written:]
            position += written

    def sync(self, path: PathLike) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failure("sync", path, error) from error

    def sync_directory(self, directory: PathLike) -> None:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failure("sync", directory, error) from error

    def truncate(self, path: PathLike, size: int) -> None:
        try:
            os.ftruncate(self._descriptor(path, os.O_CREAT), size)
        except OSError as error:
            raise _failure("truncate", path, error) from error

    def rename(self, old: PathLike, new: PathLike) -> None:
        self._close_below(str(old))
        self.close(new)
        try:
            os.replace(old, new)
        except OSError as error:
            raise _failure("rename", old, error) from error

    def remove(self, path: PathLike) -> None:
        descriptor = self._descriptors.pop(str(path), None)
        try:
            if descriptor is None and os.stat(path).st_size > _LARGE_BYTES:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _failure("remove", path, error) from error
        finally:
            if descriptor is not None:
                _let_go(descriptor)

    def remove_tree(self, directory: PathLike) -> None:
        self._close_below(str(directory))
        try:
            with os.scandir(directory) as entries:
                large = [e.path for e in entries if e.is_file() and e.stat().st_size > _LARGE_BYTES]
            for path in large:
                self.remove(path)
            shutil.rmtree(directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _failure("remove", directory, error) from error

    def list(self, directory: PathLike) -> dict[str, int]:
        try:
            with os.scandir(directory) as entries:
                return {entry.name: -1 if entry.is_dir() else entry.stat().st_size for entry in entries}
        except OSError as error:
            raise _failure("list", directory, error) from error

    def make_directory(self, directory: PathLike) -> None:
        try:
            os.makedirs(directory, exist_ok=True)
        except OSError as error:
            raise _failure("make", directory, error) from error

    def exists(self, path: PathLike) -> bool:
        return os.path.exists(path)

    def size(self, path: PathLike) -> int:
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise _failure("stat", path, error) from error

    def close(self, path: PathLike) -> None:
        descriptor = self._descriptors.pop(str(path), None)
        if descriptor is not None:
            os.close(descriptor)

    def close_all(self) -> None:
        for path in list(self._descriptors):
            self.close(path)

    def __del__(self) -> None:
        self.close_all()  # nobody can use them any more; Python's own files do the same

    def _close_below(self, path: str) -> None:
        """Close the file of that name, or every file in the directory of that name."""
        if path in self._descriptors:  # a file then: spare the search, every checkpoint comes this way
            self.close(path)
            return
        prefix = path + os.sep
        for name in [name for name in self._descriptors if name.startswith(prefix)]:
            self.close(name)


def _let_go(descriptor: int) -> None:
    """The last close of a file without a name frees its blocks: 65 ms for 1 GB, which nobody should wait for."""
    if os.fstat(descriptor).st_size > _LARGE_BYTES:
        threading.Thread(target=os.close, args=(descriptor,), daemon=True).start()
    else:
        os.close(descriptor)


def full_disk(path: PathLike) -> StorageFailure:
    """What a write to a full disk raises."""
    return _failure("write", path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def _failure(deed: str, path: PathLike, error: OSError) -> StorageFailure:
    return StorageFailure(f"cannot {deed} {path}: {error.strerror or error}")
