"""A producer's buffer of records, without the sender that empties it."""

from clients.accumulator import Accumulator, TopicQueues


class Buffer:
    """An accumulator with one topic, and how often it woke its sender."""

    def __init__(self, partitions=3, **options):
        self.woken = 0
        settings = dict(
            batch_size=1_000, buffer_memory=100_000, max_request_size=50_000, codec="none", is_transactional=False
        )
        self.accumulator = Accumulator(**{**settings, **options}, wake=self.wake)
        self.topic = self.accumulator.topics["t"] = TopicQueues("t", partitions, list(range(partitions)))

    def wake(self):
        self.woken += 1

    def append(self, value, partition=0, **options):
        given = dict(timestamp=7, key=None, headers=None, on_delivery=None) | options
        return self.accumulator.append(self.topic, partition, value=value, **given)

    def ready(self, partition=0):
        return self.topic.queue(partition).ready
