"""Every API we speak: its number, name, and the versions that ApiVersions advertises.

Dispatch, ApiVersions and the docs derive from `API_KEYS`. Message classes live in `protocol/kNN_name.py` and are
imported when first asked for, so that a client that only produces loads four files.
"""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import dataclass

from protocol.codec import Message


@dataclass(frozen=True)
class ApiKey:
    """One API. The advertised range may differ from `request.versions`, which is what the codec can read."""

    key: int
    name: str
    min_version: int
    max_version: int
    flexible_from: int  # NEVER_FLEXIBLE where no version is

    @property
    def module_name(self) -> str:
        """`k03_metadata` for Metadata; the handler of the same key has a file of the same name."""
        return f"k{self.key:02d}_{re.sub(r'(?<!^)(?=[A-Z])', '_', self.name).lower()}"

    @functools.cached_property
    def request(self) -> type[Message]:
        return self._message(self.name + "Request")

    @functools.cached_property
    def response(self) -> type[Message]:
        return self._message(self.name + "Response")

    def serves(self, version: int) -> bool:
        """Whether a request of this version is decoded at all (Produce 0-2 are advertised only)."""
        return version <= self.max_version and version in self.request.versions

    def _message(self, class_name: str) -> type[Message]:
        message: type[Message] = getattr(importlib.import_module(f"protocol.{self.module_name}"), class_name)
        return message


NEVER_FLEXIBLE = 1 << 15

_ROWS = (
    ApiKey(0, "Produce", 0, 13, 9),
    ApiKey(1, "Fetch", 4, 18, 12),
    ApiKey(2, "ListOffsets", 1, 11, 6),
    ApiKey(3, "Metadata", 0, 13, 9),
    ApiKey(8, "OffsetCommit", 2, 10, 8),
    ApiKey(9, "OffsetFetch", 1, 10, 6),
    ApiKey(10, "FindCoordinator", 0, 6, 3),
    ApiKey(11, "JoinGroup", 0, 9, 6),
    ApiKey(12, "Heartbeat", 0, 4, 4),
    ApiKey(13, "LeaveGroup", 0, 5, 4),
    ApiKey(14, "SyncGroup", 0, 5, 4),
    ApiKey(15, "DescribeGroups", 0, 6, 5),
    ApiKey(16, "ListGroups", 0, 5, 3),
    ApiKey(17, "SaslHandshake", 0, 1, NEVER_FLEXIBLE),
    ApiKey(18, "ApiVersions", 0, 5, 3),
    ApiKey(19, "CreateTopics", 2, 7, 5),
    ApiKey(20, "DeleteTopics", 1, 6, 4),
    ApiKey(21, "DeleteRecords", 0, 2, 2),
    ApiKey(22, "InitProducerId", 0, 5, 2),
    ApiKey(23, "OffsetForLeaderEpoch", 2, 4, 4),
    ApiKey(24, "AddPartitionsToTxn", 0, 5, 3),
    ApiKey(25, "AddOffsetsToTxn", 0, 4, 3),
    ApiKey(26, "EndTxn", 0, 5, 3),
    ApiKey(27, "WriteTxnMarkers", 1, 2, 1),
    ApiKey(28, "TxnOffsetCommit", 0, 5, 3),
    ApiKey(29, "DescribeAcls", 1, 3, 2),
    ApiKey(30, "CreateAcls", 1, 3, 2),
    ApiKey(31, "DeleteAcls", 1, 3, 2),
    ApiKey(32, "DescribeConfigs", 1, 4, 4),
    ApiKey(33, "AlterConfigs", 0, 2, 2),
    ApiKey(35, "DescribeLogDirs", 1, 4, 2),
    ApiKey(36, "SaslAuthenticate", 0, 2, 2),
    ApiKey(37, "CreatePartitions", 0, 3, 2),
    ApiKey(42, "DeleteGroups", 0, 2, 2),
    ApiKey(43, "ElectLeaders", 0, 2, 2),
    ApiKey(44, "IncrementalAlterConfigs", 0, 1, 1),
    ApiKey(45, "AlterPartitionReassignments", 0, 1, 0),
    ApiKey(46, "ListPartitionReassignments", 0, 0, 0),
    ApiKey(47, "OffsetDelete", 0, 0, NEVER_FLEXIBLE),
    ApiKey(48, "DescribeClientQuotas", 0, 1, 1),
    ApiKey(49, "AlterClientQuotas", 0, 1, 1),
    ApiKey(50, "DescribeUserScramCredentials", 0, 0, 0),
    ApiKey(51, "AlterUserScramCredentials", 0, 0, 0),
    ApiKey(55, "DescribeQuorum", 0, 2, 0),
    ApiKey(57, "UpdateFeatures", 0, 2, 0),
    ApiKey(60, "DescribeCluster", 0, 2, 0),
    ApiKey(61, "DescribeProducers", 0, 0, 0),
    ApiKey(65, "DescribeTransactions", 0, 0, 0),
    ApiKey(66, "ListTransactions", 0, 2, 0),
    ApiKey(68, "ConsumerGroupHeartbeat", 0, 1, 0),
    ApiKey(69, "ConsumerGroupDescribe", 0, 1, 0),
    ApiKey(74, "ListConfigResources", 0, 1, 0),
    ApiKey(75, "DescribeTopicPartitions", 0, 0, 0),
    ApiKey(76, "ShareGroupHeartbeat", 1, 1, 0),
    ApiKey(77, "ShareGroupDescribe", 1, 1, 0),
    ApiKey(78, "ShareFetch", 1, 2, 0),
    ApiKey(79, "ShareAcknowledge", 1, 2, 0),
    ApiKey(88, "StreamsGroupHeartbeat", 0, 1, 0),
    ApiKey(89, "StreamsGroupDescribe", 0, 1, 0),
    ApiKey(90, "DescribeShareGroupOffsets", 0, 1, 0),
    ApiKey(91, "AlterShareGroupOffsets", 0, 0, 0),
    ApiKey(92, "DeleteShareGroupOffsets", 0, 0, 0),
)

API_KEYS: dict[int, ApiKey] = {row.key: row for row in _ROWS}

API_VERSIONS_KEY = 18


def request_class(key: int) -> type[Message]:
    """The class that decodes requests of this API; KeyError for an API that we don't speak."""
    return API_KEYS[key].request


def response_class(key: int) -> type[Message]:
    """The class that encodes the answers of this API; KeyError for an API that we don't speak."""
    return API_KEYS[key].response
