"""Our producer's transactions, and offsets in them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from own_clients import admin, group, made, places, read_topic, where

from clients.errors import IllegalUse
from model.errors import ProducerFenced
from odradek import Admin, Consumer, Producer, wait_until

__all__ = ["admin", "group", "made", "where"]

pytestmark = pytest.mark.compat


@pytest.mark.parametrize("is_newer", [True, False], ids=["TV2", "TV1"])
def test_transactions_commit_abort_and_fence(where: str, made: str, group: str, is_newer: bool) -> None:
    name = f"tx-{uuid.uuid4().hex[:8]}"
    with Producer(bootstrap_servers=where, transactional_id=name) as producer:
        producer.init_transactions()
        producer._core.identity.is_newer &= is_newer  # type: ignore[attr-defined]
        with pytest.raises(IllegalUse, match="begin a transaction first"):
            producer.send(made, b"outside")
        for turn in range(3):
            with producer.transaction():
                producer.send(made, b"committed %d" % turn)
                producer.send_offsets_to_transaction({places(made)[0]: turn}, _member_of(where, group))
            with pytest.raises(ZeroDivisionError), producer.transaction():
                producer.send(made, b"aborted %d" % turn)
                producer.flush()
                producer.send(made, b"never sent")
                1 / 0  # noqa: B018
        with Admin(bootstrap_servers=where) as admin:
            assert admin.list_group_offsets(group)[places(made)[0]].offset == 2
            # the answer to an abort may come before its markers are written
            wait_until(lambda: admin.describe_transaction(name).state in ("Empty", "CompleteAbort", "CompleteCommit"))
        with Producer(bootstrap_servers=where, transactional_id=name) as successor:
            successor.init_transactions()
            with pytest.raises(ProducerFenced), producer.transaction():
                producer.send(made, b"from the grave")
            with successor.transaction():
                successor.send(made, b"committed 3")
    seen = read_topic(where, made, 4, isolation_level="read_committed")
    assert sorted(record.value for record in seen) == [b"committed %d" % n for n in range(4)]


def _member_of(where: str, group: str) -> Any:
    with Consumer(bootstrap_servers=where, group_id=group) as consumer:
        return consumer.group_metadata()
