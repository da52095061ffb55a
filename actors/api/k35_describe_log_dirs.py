"""35 DescribeLogDirs, v1-5.

How many bytes each partition has on this broker's one log directory, and how full its disk is.
Left out: nothing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

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
    topics: dict[str, list[DescribeLogDirsPartition]] = defaultdict(list)
    for partition, replica in replicas.hosted.items():
        if wanted is None or (partition.topic, partition.partition) in wanted:
            row = DescribeLogDirsPartition(partition_index=partition.partition, partition_size=replica.log.size_bytes)
            row.offset_lag = max(0, replica.high_watermark - replica.log.log_end_offset)
            topics[partition.topic].append(row)
    space = os.statvfs(replicas.directory)
    result = DescribeLogDirsResult(
        log_dir=str(replicas.directory),
        topics=[DescribeLogDirsTopic(name=name, partitions=rows) for name, rows in topics.items()],
        total_bytes=space.f_frsize * space.f_blocks,
        usable_bytes=space.f_frsize * space.f_bavail,
    )
    return DescribeLogDirsResponse(results=[result])
