"""What commands print."""

import json

import pytest

from cli.options import place, timestamp_ms
from cli.output import Mistake, document, fields, line, table, text_of


def test_columns_stand_under_their_names(capsys):
    table(("TOPIC", "N"), [("orders", 12), ("a", None), ("", 3)])
    assert capsys.readouterr().out == "TOPIC   N\norders  12\na       -\n-       3\n"


def test_fields_are_aligned(capsys):
    fields([("name", "x"), ("replicas", 3), ("rack", None)])
    assert capsys.readouterr().out == "name      x\nreplicas  3\nrack      -\n"


def test_json_takes_bytes_and_sets(capsys):
    document({"value": b"\xc3\xa4\xff", "brokers": {3, 1}})
    assert json.loads(capsys.readouterr().out) == {"value": "ä\\xff", "brokers": [1, 3]}
    assert line({"key": b"k"}) == '{"key": "k"}'


def test_bytes_that_are_no_text_stay_readable():
    assert (text_of(None), text_of(b"\x00ok"), text_of(b"\xfe")) == (None, "\x00ok", "\\xfe")


@pytest.mark.parametrize("text", ["orders:0", "orders-0"])
def test_a_partition_as_people_write_it(text):
    assert place(text) == ("orders", 0)


@pytest.mark.parametrize("text", ["orders", ":0", "orders:x", "-1"])
def test_what_is_no_partition(text):
    with pytest.raises(Mistake, match="write it as orders:0"):
        place(text)


def test_times_are_milliseconds_or_iso():
    assert timestamp_ms("1700000000000") == 1_700_000_000_000
    assert timestamp_ms("1970-01-01T00:00:01+00:00") == 1_000
    with pytest.raises(Mistake, match="is no time"):
        timestamp_ms("yesterday")
