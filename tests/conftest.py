"""What every test room shares: one live cluster for the session, and fresh topic names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from odradek import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three brokers for the whole session. A test that kills something starts its own cluster instead."""
    with Cluster(brokers=3, configs={"default.replication.factor": "3", "num.partitions": "3"}) as running:
        yield running


@pytest.fixture
def topic() -> str:
    """A name no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"
