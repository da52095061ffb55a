"""The table of APIs agrees with the message classes, and asking for one API loads only that one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from protocol.api_keys import API_KEYS, NEVER_FLEXIBLE, ApiKey, request_class, response_class
from protocol.k00_produce import ProduceRequest, ProduceResponse


@pytest.mark.parametrize("row", API_KEYS.values(), ids=lambda row: row.name)
def test_the_row_agrees_with_the_classes(row: ApiKey) -> None:
    for cls in (row.request, row.response):
        assert cls.api_key == row.key
        assert cls.versions.stop > row.max_version
        assert cls.versions.start <= row.min_version or row.name == "Produce"
        assert (cls.flexible_versions.start if cls.flexible_versions else NEVER_FLEXIBLE) == row.flexible_from


def test_produce_advertises_more_than_it_serves() -> None:
    produce = API_KEYS[0]
    assert (produce.min_version, produce.serves(2), produce.serves(3), produce.serves(14)) == (0, False, True, False)
    assert not API_KEYS[22].serves(6)  # two-phase commit: readable, but not offered


def test_lookup_by_key() -> None:
    assert request_class(0) is ProduceRequest
    assert response_class(0) is ProduceResponse
    with pytest.raises(KeyError):
        request_class(4)


def test_only_the_messages_asked_for_are_imported() -> None:
    program = (
        "import sys, protocol.api_keys as keys; keys.request_class(3);"
        "print(sorted(name for name in sys.modules if name.startswith('protocol.k')))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "['protocol.k03_metadata']"
