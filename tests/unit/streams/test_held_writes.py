"""A RocksDB map that holds its writes back reads as if it had written them, and its files stay as they were."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.stores.byte_map import MemoryByteMap

pytest.importorskip("rocksdict")
from streams.stores.rocks_byte_map import RocksByteMap

KEYS = st.sampled_from([bytes([number]) for number in range(12)])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.binary(max_size=2)),
        st.tuples(st.just("delete"), KEYS, st.just(b"")),
        st.tuples(st.just("range"), KEYS, KEYS),
    ),
    max_size=25,
)


def do(target: MemoryByteMap | RocksByteMap, actions: list[tuple[str, bytes, bytes]]) -> None:
    for what, key, other in actions:
        if what == "put":
            target.put(key, other)
        elif what == "delete":
            target.delete(key)
        else:
            target.delete_range(min(key, other), max(key, other))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ACTIONS, held=ACTIONS, low=st.none() | KEYS, high=st.none() | KEYS, reverse=st.booleans())
def test_it_reads_like_a_map_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[str, bytes, bytes]],
    held: list[tuple[str, bytes, bytes]],
    low: bytes | None,
    high: bytes | None,
    reverse: bool,
) -> None:
    folder, memory = tmp_path_factory.mktemp("held"), MemoryByteMap()
    rocks = RocksByteMap(folder / "store")
    do(memory, before)
    do(rocks, before)
    rocks.write_pending()
    written = list(rocks.scan(None, None))
    rocks.holds = True
    do(memory, held)
    do(rocks, held)
    assert list(rocks.scan(low, high, reverse=reverse)) == list(memory.scan(low, high, reverse=reverse))
    assert [rocks.get(bytes([n])) for n in range(12)] == [memory.get(bytes([n])) for n in range(12)]
    rocks.close()  # as when the transaction is lost
    again = RocksByteMap(folder / "store")
    assert list(again.scan(None, None)) == written
    again.holds = True
    do(again, held)
    again.write_pending()  # as when it is committed
    again.close()
    assert list(RocksByteMap(folder / "store").scan(None, None)) == list(memory.scan(None, None))
