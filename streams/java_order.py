"""The iteration orders of Java's collections, where Kafka Streams lets them show.

They decide the text of `Topology.describe()`, which of two queues with equal timestamps goes first, and the order of
changelog records that one commit writes. Only what shows is modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def string_hash(text: str) -> int:
    """String.hashCode as an unsigned 32-bit int."""
    value = 0
    for unit in memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H"):
        value = (31 * value + unit) & 0xFFFFFFFF
    return value


def bytes_hash(data: bytes) -> int:
    """Arrays.hashCode(byte[]) as an unsigned 32-bit int."""
    value = 1
    for byte in data:
        value = (31 * value + (byte if byte < 128 else byte - 256)) & 0xFFFFFFFF
    return value


def _buckets(size: int) -> int:
    buckets = 16
    while size > buckets * 3 // 4:
        buckets *= 2
    return buckets


def hash_order(items: Iterable[T], hash_of: Callable[[T], int], capacity: int | None = None) -> list[T]:
    """`items` in the order a HashSet gives back after they were added one by one."""
    distinct = list(dict.fromkeys(items))
    mask = (capacity or _buckets(len(distinct))) - 1

    def bucket(item: T) -> int:
        value = hash_of(item)
        return (value ^ (value >> 16)) & mask

    return sorted(distinct, key=bucket)


def string_set_order(items: Iterable[str]) -> list[str]:
    return hash_order(items, string_hash)


def copied_string_set_order(items: Iterable[str]) -> list[str]:
    """The order after `new HashSet<>(set)`, which sizes its table ahead."""
    ordered = string_set_order(items)
    wanted, capacity = max(int(len(ordered) / 0.75) + 1, 16), 16
    while capacity < wanted:
        capacity *= 2
    return hash_order(ordered, string_hash, capacity)


class HashSetOrder(Generic[T]):
    """A HashSet that is cleared and filled again: its table grows and never shrinks."""

    def __init__(self, hash_of: Callable[[T], int]) -> None:
        self._items: dict[T, None] = {}
        self._hash_of = hash_of
        self._capacity = 16

    def add(self, item: T) -> None:
        self._items[item] = None
        if len(self._items) > self._capacity * 3 // 4:
            self._capacity *= 2

    def drain(self) -> list[T]:
        items = self._items
        ordered = hash_order(items, self._hash_of, self._capacity) if len(items) > 1 else list(items)
        items.clear()
        return ordered


class PriorityQueue(Generic[T]):
    """java.util.PriorityQueue: among equals, what the sift order of its heap brings up."""

    def __init__(self, key: Callable[[T], Any]) -> None:
        self._heap: list[T] = []
        self._key = key

    def __len__(self) -> int:
        return len(self._heap)

    def peek(self) -> T | None:
        return self._heap[0] if self._heap else None

    def offer(self, item: T) -> None:
        heap, key = self._heap, self._key
        heap.append(item)
        at, rank = len(heap) - 1, key(item)
        while at > 0:
            parent = (at - 1) >> 1
            if rank >= key(heap[parent]):
                break
            heap[at] = heap[parent]
            at = parent
        heap[at] = item

    def poll(self) -> T:
        heap, key = self._heap, self._key
        first, last = heap[0], heap.pop()
        size = len(heap)
        if size:
            at, rank = 0, key(last)
            while at < size >> 1:
                child = 2 * at + 1
                if child + 1 < size and key(heap[child]) > key(heap[child + 1]):
                    child += 1
                if rank <= key(heap[child]):
                    break
                heap[at] = heap[child]
                at = child
            heap[at] = last
        return first


class _TreeNode(Generic[T]):
    __slots__ = ("item", "left", "parent", "red", "right")

    def __init__(self, item: T, parent: _TreeNode[T] | None) -> None:
        self.item = item
        self.parent = parent
        self.left: _TreeNode[T] | None = None
        self.right: _TreeNode[T] | None = None
        self.red = False


class TreeSet(Generic[T]):
    """java.util.TreeSet whose elements may change rank after they were added: the tree's shape then shows."""

    def __init__(self, compare: Callable[[T, T], int]) -> None:
        self._root: _TreeNode[T] | None = None
        self._compare = compare

    def add(self, item: T) -> None:
        if self._root is None:
            self._root = _TreeNode(item, None)
            return
        at, parent, order = self._root, self._root, 0
        walker: _TreeNode[T] | None = at
        while walker is not None:
            parent = walker
            order = self._compare(item, walker.item)
            if order == 0:
                return
            walker = walker.left if order < 0 else walker.right
        node = _TreeNode(item, parent)
        if order < 0:
            parent.left = node
        else:
            parent.right = node
        self._rebalance(node)

    def _rotate(self, node: _TreeNode[T], to_left: bool) -> None:
        rising = node.right if to_left else node.left
        assert rising is not None
        inner = rising.left if to_left else rising.right
        if to_left:
            node.right = inner
        else:
            node.left = inner
        if inner is not None:
            inner.parent = node
        rising.parent = node.parent
        if node.parent is None:
            self._root = rising
        elif node.parent.left is node:
            node.parent.left = rising
        else:
            node.parent.right = rising
        if to_left:
            rising.left = node
        else:
            rising.right = node
        node.parent = rising

    def _rebalance(self, node: _TreeNode[T]) -> None:
        node.red = True
        while node.parent is not None and node.parent.red and node.parent.parent is not None:
            parent, grandparent = node.parent, node.parent.parent
            is_left = parent is grandparent.left
            uncle = grandparent.right if is_left else grandparent.left
            if uncle is not None and uncle.red:
                parent.red = uncle.red = False
                grandparent.red = True
                node = grandparent
                continue
            if node is (parent.right if is_left else parent.left):
                node = parent
                self._rotate(node, to_left=is_left)
            assert node.parent is not None and node.parent.parent is not None
            node.parent.red = False
            node.parent.parent.red = True
            self._rotate(node.parent.parent, to_left=not is_left)
        assert self._root is not None
        self._root.red = False

    def __iter__(self) -> Iterator[T]:
        pending: list[_TreeNode[T]] = []
        node = self._root
        while pending or node is not None:
            while node is not None:
                pending.append(node)
                node = node.left
            last = pending.pop()
            yield last.item
            node = last.right
