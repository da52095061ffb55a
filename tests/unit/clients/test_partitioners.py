"""Keys land where Java's producer puts them."""

import pytest

from clients import partitioners
from clients.murmur2 import murmur2


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_what_java_gives(key, signed):
    assert murmur2(key) == signed & 0xFFFFFFFF
    assert murmur2(memoryview(bytearray(key))) == signed & 0xFFFFFFFF


def test_murmur2_agrees_with_another_implementation_at_every_length():
    kafka = pytest.importorskip("kafka.partitioner.default")
    for length in range(40):
        key = bytes(range(200, 200 + length))
        assert murmur2(key) == kafka.murmur2(key) & 0xFFFFFFFF


def test_the_default_hashes_keys_and_leaves_the_rest_to_the_sticky_partition():
    default = partitioners.make(None)
    assert default("t", b"21", None, 7) == (-973932308 & 0x7FFFFFFF) % 7
    assert default("t", b"21", None, 8) == (-973932308 & 0x7FFFFFFF) % 8  # remembered per number of partitions
    assert default("t", None, b"v", 7) == partitioners.STICKY


def test_round_robin_takes_turns_topic_by_topic():
    turns = partitioners.make("round_robin")
    assert [turns("a", b"k", None, 3) for _ in range(4)] == [0, 1, 2, 0]
    assert turns("b", b"k", None, 3) == 0


def test_your_own_gets_the_record_and_the_number_of_partitions():
    seen = []
    own = partitioners.make(lambda *given: seen.append(given) or 2)
    assert own("t", b"k", b"v", 5) == 2
    assert seen == [("t", b"k", b"v", 5)]


def test_the_next_sticky_partition_is_another_one_if_there_is_one():
    assert {partitioners.another([0, 1, 2], 1) for _ in range(50)} == {0, 2}
    assert partitioners.another([4], 4) == 4
    assert partitioners.another([], 3) == 3
