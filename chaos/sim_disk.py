"""A disk that forgets: the page cache survives the death of a process, only what was synced survives a power loss.

`Platter` is one broker's hardware and outlives its processes; `ForgetfulDisk` is one process's way to it, and the
process can be made to die inside any operation (`fuse`), which tears the write it was at.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from chaos.sim_world import Killed
from model.errors import StorageFailure
from storage.disk import Buffer, PathLike

SECTOR_BYTES = 512
PAGE_BYTES = 4096


class File:
    """`content` is what processes see, `durable` what was there at the last sync, `changes` all that came since."""

    __slots__ = ("changes", "content", "doubtful_from", "durable")

    def __init__(self) -> None:
        self.doubtful_from = 0  # what was written from there on when the power went had not been synced
        self.content = bytearray()
        self.durable = b""
        self.changes: list[tuple[int, bytes | None]] = []  # (position, bytes), or (size, None) for a truncation

    def write(self, position: int, data: bytes) -> None:
        content = self.content
        if position > len(content):
            content.extend(bytes(position - len(content)))
        content[position : position + len(data)] = data
        self.changes.append((position, data))

    def truncate(self, size: int) -> None:
        if size < len(self.content):
            del self.content[size:]
        else:
            self.content.extend(bytes(size - len(self.content)))
        self.changes.append((size, None))

    def sync(self) -> None:
        if self.changes:
            self.durable = bytes(self.content)
            self.changes.clear()

    def lose_power(self, chance: Random) -> None:
        """Some of the changes since the last sync are kept, the last of them perhaps only in part."""
        kept = chance.randint(0, len(self.changes))
        changes = self.changes
        self.content, self.changes = bytearray(self.durable), []
        self.doubtful_from = min([position for position, _ in changes[:kept]], default=len(self.content))
        for number, (position, data) in enumerate(changes[:kept]):
            if data is None:
                self.truncate(position)
            elif number == kept - 1:
                self.write(position, data[: self._torn_at(position, chance.randint(0, len(data)))])
            else:
                self.write(position, data)
        self.sync()


    def _torn_at(self, position: int, length: int) -> int:
        """What grows a file may end at any byte; a sector that was there before is old or new, never mixed."""
        end = position + length
        if end < len(self.content):
            end = min(len(self.content), -(-end // SECTOR_BYTES) * SECTOR_BYTES)
        return max(end - position, length)


class Platter:
    """Names and files of one broker. Directories are durable as soon as they are made."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.names: dict[str, File] = {}
        self.directories: set[str] = set()
        self._durable_names: dict[str, File] = {}
        self._renames: dict[str, list[tuple[str, str, File | None]]] = {}  # directory → (name gone, name new, its file)

    def name(self, path: str, file: File, gone: str = "") -> None:
        if gone:
            self.names.pop(gone, None)
        self.names[path] = file
        self._renames.setdefault(_directory_of(path), []).append((gone, path, file))

    def unname(self, path: str) -> None:
        if self.names.pop(path, None) is not None:
            self._renames.setdefault(_directory_of(path), []).append((path, "", None))

    def sync_directory(self, directory: str) -> None:
        self._keep(self._renames.pop(directory, []))

    def _keep(self, renames: list[tuple[str, str, File | None]]) -> None:
        for gone, new, file in renames:
            if gone:
                self._durable_names.pop(gone, None)
            if new and file is not None:
                self._durable_names[new] = file

    def lose_power(self) -> None:
        """Of the names made, changed and removed since the last sync of a directory only the first few are kept."""
        for directory in sorted(self._renames):
            renames = self._renames[directory]
            self._keep(renames[: self.chance.randint(0, len(renames))])
        self._renames.clear()
        self.names = dict(self._durable_names)
        for path in sorted(self.names):
            self.names[path].lose_power(self.chance)

    def flip_a_bit(self, suffix: str = ".log") -> str | None:
        """After a power loss: damage what one file holds and had not synced; where, or None when there is nothing.

        What was synced is trusted by Kafka and by us: recovery begins above it.
        """
        paths = [p for p, file in self.names.items() if p.endswith(suffix) and file.doubtful_from < len(file.content)]
        if not paths:
            return None
        path = self.chance.choice(sorted(paths))
        content = self.names[path].content
        position = self.chance.randrange(self.names[path].doubtful_from, len(content))
        position = _covered(content, position)
        content[position] ^= 1 << self.chance.randrange(8)
        return f"{path}:{position}"


def _covered(log: bytearray, position: int) -> int:
    """`position`, moved out of those parts of a batch's header that no CRC covers."""
    start = 0
    while start + 12 <= position:
        size = 12 + int.from_bytes(log[start + 8 : start + 12], "big", signed=True)
        if size <= 12 or start + size > position:
            break
        start += size
    covered_from = start + 17
    return position if position >= covered_from or covered_from >= len(log) else covered_from


def _directory_of(path: str) -> str:
    return path[: path.rindex("/")]


class ForgetfulDisk:
    """Implements storage.disk.Disk for one process. `on_death` is called when the fuse burns down."""

    def __init__(self, platter: Platter, on_death: Callable[[], None]) -> None:
        self.platter = platter
        self.fuse = -1  # changes until death; -1: none is lit
        self.failures = 0  # the next so many writes fail: the disk is full
        self.is_dead = False
        self._on_death = on_death

    def _burn(self) -> bool:
        """True when the process dies amid this change."""
        if self.is_dead:
            raise Killed
        if self.fuse > 0:
            self.fuse -= 1
            return self.fuse == 0
        return False

    def _die(self) -> None:
        self.is_dead = True
        self._on_death()
        raise Killed

    def _file(self, path: PathLike, deed: str) -> File:
        file = self.platter.names.get(str(path))
        if file is None:
            raise StorageFailure(f"cannot {deed} {path}: no such file")
        return file

    def read(self, path: PathLike, length: int, position: int) -> bytes:
        return bytes(self._file(path, "read").content[position : position + length])

    def read_all(self, path: PathLike) -> bytes:
        return bytes(self._file(path, "read").content)

    def write(self, path: PathLike, buffer: Buffer, position: int) -> None:
        path = str(path)
        file = self.platter.names.get(path)
        is_last = self._burn()
        if self.failures > 0:
            self.failures -= 1
            raise StorageFailure(f"cannot write {path}: No space left on device")
        if file is None:
            file = File()
            self.platter.name(path, file)
        data = bytes(buffer)
        if is_last:
            done = self.platter.chance.randint(0, len(data))
            if position < len(file.content) and len(data) <= PAGE_BYTES:  # the kernel copies a page as a whole
                done = len(data) if done * 2 > len(data) else 0
            file.write(position, data[:done])
            self._die()
        file.write(position, data)

    def sync(self, path: PathLike) -> None:
        file = self._file(path, "sync")
        if self._burn():
            self._die()
        file.sync()

    def sync_directory(self, directory: PathLike) -> None:
        if self._burn():
            self._die()
        self.platter.sync_directory(str(directory))

    def truncate(self, path: PathLike, size: int) -> None:
        if self._burn():
            self._die()
        path = str(path)
        file = self.platter.names.get(path)
        if file is None:
            file = File()
            self.platter.name(path, file)
        file.truncate(size)

    def rename(self, old: PathLike, new: PathLike) -> None:
        if self._burn():
            self._die()
        platter, old, new = self.platter, str(old), str(new)
        if old in platter.directories:
            self._move_directory(old, new)
            return
        platter.name(new, self._file(old, "rename"), gone=old)

    def _move_directory(self, old: str, new: str) -> None:
        platter = self.platter
        platter.directories.discard(old)
        platter.directories.add(new)
        for path in [path for path in platter.names if path.startswith(old + "/")]:
            platter.name(new + path[len(old) :], platter.names[path])
            platter.unname(path)
        platter.sync_directory(old)
        platter.sync_directory(new)

    def remove(self, path: PathLike) -> None:
        if self._burn():
            self._die()
        self.platter.unname(str(path))

    def remove_tree(self, directory: PathLike) -> None:
        if self._burn():
            self._die()
        prefix = f"{directory}/"
        for path in [path for path in self.platter.names if path.startswith(prefix)]:
            self.platter.unname(path)
        self.platter.sync_directory(str(directory))
        self.platter.directories.discard(str(directory))

    def list(self, directory: PathLike) -> dict[str, int]:
        prefix = f"{directory}/"
        if prefix[:-1] not in self.platter.directories:
            raise StorageFailure(f"cannot list {directory}: no such directory")
        start = len(prefix)
        found = {
            path[start:]: len(file.content)
            for path, file in self.platter.names.items()
            if path.startswith(prefix) and "/" not in path[start:]
        }
        for path in sorted(self.platter.directories):
            if path.startswith(prefix) and "/" not in path[start:]:
                found[path[start:]] = -1
        return found

    def make_directory(self, directory: PathLike) -> None:
        path = Path(directory)
        self.platter.directories.update(str(each) for each in (path, *path.parents))

    def exists(self, path: PathLike) -> bool:
        path = str(path)
        return path in self.platter.names or path in self.platter.directories

    def size(self, path: PathLike) -> int:
        file = self.platter.names.get(str(path))
        return 0 if file is None else len(file.content)

    def close(self, path: PathLike) -> None:
        """Nothing is kept open."""

    def close_all(self) -> None:
        """Nor here."""
