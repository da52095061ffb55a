"""The way of a failed record: retry topics in turn, each when it is due, then the dead-letter topic."""

from clients.retry_topics import PermanentFailure, RetryTopics
from model.ids import TopicPartition


class Record:
    def __init__(self, topic, value, headers=(), offset=0):
        self.topic, self.partition, self.offset = topic, 0, offset
        self.raw_key, self.raw_value, self.headers = b"k", value, list(headers)
        self.topic_partition = TopicPartition(topic, 0)

    def header(self, name):
        return dict(self.headers).get(name)


class Stage:
    """Plays consumer, producer and clock."""

    def __init__(self):
        self.now = 100.0
        self.retries = RetryTopics("t", "g", (1, 10), clock=lambda: self.now)
        self.inbox, self.sent, self.paused, self.sought = [], [], set(), []
        self.commits = self.waits = 0
        self.timeouts = []

    def poll(self, timeout_ms):
        self.timeouts.append(timeout_ms)
        records, self.inbox = self.inbox, []
        return records

    def commit(self):
        assert self.waits == len(self.sent), "committed before what failed was acknowledged"
        self.commits += 1

    def pause(self, places):
        self.paused.update(places)

    def resume(self, places):
        self.paused.difference_update(places)

    def seek(self, place, offset):
        self.sought.append((place, offset))

    def assignment(self):
        return {TopicPartition(topic, 0) for topic in self.retries.subscription}

    def send(self, topic, value, key, headers):
        self.sent.append(Record(topic, value, headers))
        return self

    def result(self):
        self.waits += 1

    def process(self, *records, handle):
        self.inbox = list(records)
        return self.retries.process(self, self, handle, 500)


def fail(record):
    raise ConnectionError("no")


def test_topics_belong_to_the_group():
    retries = RetryTopics("t", "g", (1, 10))
    assert retries.subscription == ["t", "t.g.retry-1", "t.g.retry-2"]
    assert [new.name for new in retries.new_topics(6, 3)] == ["t.g.retry-1", "t.g.retry-2", "t.g.dead-letter"]


def test_what_works_is_committed():
    stage = Stage()
    assert stage.process(Record("t", b"a"), Record("t", b"b"), handle=lambda record: None) == 2
    assert stage.commits == 1 and not stage.sent


def test_a_failure_goes_from_topic_to_topic_and_ends_as_a_dead_letter():
    stage = Stage()
    record = Record("t", b"a", [("own", b"1")], offset=7)
    seen = []
    for _ in range(3):
        stage.process(record, handle=fail)
        record = stage.sent[-1]
        seen.append((record.topic, record.header("retry-attempt"), record.header("retry-due-ms")))
        stage.now += 100
    assert seen == [
        ("t.g.retry-1", b"1", b"101000"),
        ("t.g.retry-2", b"2", b"210000"),
        ("t.g.dead-letter", b"3", None),
    ]
    assert record.header("retry-origin") == b"t-0@7" and record.header("own") == b"1"
    assert record.header("retry-error") == b"ConnectionError: no" and record.raw_value == b"a"
    assert (stage.retries.retried, stage.retries.given_up) == (2, 1)


def test_a_permanent_failure_is_not_tried_again():
    def handle(record):
        raise PermanentFailure("nonsense")

    stage = Stage()
    stage.process(Record("t", b"a"), handle=handle)
    assert stage.sent[0].topic == "t.g.dead-letter"


def test_a_record_that_is_not_due_holds_up_its_own_topic_only():
    stage = Stage()
    place = TopicPartition("t.g.retry-1", 0)
    early = [Record(place.topic, b"%d" % n, [("retry-due-ms", b"100200"), ("retry-attempt", b"1")], n) for n in (4, 5)]
    handled = []
    stage.process(*early, Record("t", b"new"), handle=lambda record: handled.append(record.raw_value))
    assert handled == [b"new"] and stage.paused == {place} and stage.sought == [(place, 4)]
    stage.process(handle=handled.append)
    assert stage.paused == {place} and 200 <= stage.timeouts[-1] <= 202  # no longer than until it is due
    stage.now += 0.3
    stage.process(*early, handle=lambda record: handled.append(record.raw_value))
    assert handled == [b"new", b"4", b"5"] and not stage.paused


def test_a_partition_that_went_elsewhere_is_not_resumed():
    stage = Stage()
    record = Record("t.g.retry-1", b"a", [("retry-due-ms", b"100200")])
    stage.process(record, handle=fail)
    stage.assignment = lambda: set()
    stage.now += 1
    stage.resume = lambda places: (_ for _ in ()).throw(AssertionError(places)) if places else None
    stage.process(handle=fail)
