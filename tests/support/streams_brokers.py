"""The cluster that streams tests run against: ours, or one given by ODRADEK_TEST_BOOTSTRAP (see tests/compat)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from odradek import Admin, Cluster

GIVEN = os.environ.get("ODRADEK_TEST_BOOTSTRAP", "")


class GivenBrokers:
    """As much of a Cluster as these tests use."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin = Admin(bootstrap_servers=bootstrap)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster | GivenBrokers]:
    """Three brokers for the whole session, or those given."""
    if GIVEN:
        given = GivenBrokers(GIVEN)
        yield given
        given.admin.close()
        return
    with Cluster(brokers=3, configs={"default.replication.factor": "3", "num.partitions": "3"}) as running:
        yield running


@pytest.fixture
def brokers() -> Iterator[Cluster]:
    """Of a test's own, to be killed."""
    if GIVEN:
        pytest.skip("brokers given by address are not killed")
    with Cluster(brokers=3, configs={"default.replication.factor": "3"}) as running:
        yield running
