"""Logs in a data directory that the metadata knows nothing of: their topic was deleted while the broker was down."""

import shutil

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from odradek import Cluster, wait_until

pytestmark = pytest.mark.cluster


def test_they_are_removed_at_the_next_start_and_nothing_else_is(tmp_path):
    with Cluster(brokers=3, data_dir=tmp_path / "data") as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics([NewTopic("kept", 2, 3)])["kept"].result(30)
        folders = sorted(cluster.data_dir.glob("broker-*"))
        wait_until(lambda: all({"kept-0", "kept-1"} <= names_in(folder) for folder in folders), timeout_s=30)
        cluster.stop()
        for folder in folders:
            shutil.copytree(folder / "kept-0", folder / "gone-0")
        cluster.start()
        wait_until(lambda: not any(name.startswith("gone") for f in folders for name in names_in(f)), timeout_s=30)
        cluster.wait_isr("kept", 0, 3)
        assert all({"kept-0", "kept-1"} <= names_in(folder) for folder in folders)


def names_in(folder):
    return {path.name for path in folder.iterdir()}
