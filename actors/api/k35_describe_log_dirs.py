"""35 DescribeLogDirs, v1-5.

How many bytes each partition has on this broker's one log directory, and how full its disk is.
- Partitions whose disk failed are listed apart, as a directory of their own that bears the error.
Left out: nothing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import ErrorCode
from protocol.k35_describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    """The hosted partitions, all or those asked for."""
    replicas = context.broker.replicas
    wanted = None if request.topics is None else {(t.topic, p) for t in request.topics for p in t.partitions}
    sound: dict[str, list[DescribeLogDirsPartition]] = defaultdict(list)
    failed: dict[str, list[DescribeLogDirsPartition]] = defaultdict(list)
    for partition, replica in replicas.hosted.items():
        if wanted is None or (partition.topic, partition.partition) in wanted:
            row = DescribeLogDirsPartition(partition_index=partition.partition, partition_size=replica.log.size_bytes)
            row.offset_lag = max(0, replica.high_watermark - replica.log.log_end_offset)
            (failed if replica.is_offline else sound)[partition.topic].append(row)
    for partition in replicas.unopened:
        if wanted is None or (partition.topic, partition.partition) in wanted:
            failed[partition.topic].append(DescribeLogDirsPartition(partition_index=partition.partition))
    results = [_result(str(replicas.directory), replicas.directory, sound)]
    if failed:
        results.append(_result(f"{replicas.directory} (offline)", replicas.directory, failed))
        results[-1].error_code = ErrorCode.KAFKA_STORAGE_ERROR
    return DescribeLogDirsResponse(results=results)


def _result(name: str, directory: Path, topics: dict[str, list[DescribeLogDirsPartition]]) -> DescribeLogDirsResult:
    space = os.statvfs(directory)
    return DescribeLogDirsResult(
        log_dir=name,
        topics=[DescribeLogDirsTopic(name=topic, partitions=rows) for topic, rows in topics.items()],
        total_bytes=space.f_frsize * space.f_blocks,
        usable_bytes=space.f_frsize * space.f_bavail,
    )
