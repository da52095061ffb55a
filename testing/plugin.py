"""The pytest plugin: a Kafka cluster for tests, and what became of it in the report of a test that failed.

    def test_orders(kafka_cluster, kafka_topic):
        producer = Producer({"bootstrap.servers": kafka_cluster.bootstrap})

    @pytest.mark.kafka(brokers=5, config={"min.insync.replicas": "3"})
    def test_with_a_cluster_of_another_shape(kafka_cluster): ...

kafka_cluster         for the session; one per shape, shared by all xdist workers
kafka_cluster_fresh   for one test, which may do with it what it likes
kafka_topic           a new topic's name; @pytest.mark.kafka(partitions=6) says how many partitions
kafka_group           a name no other test uses
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testing.cluster import Cluster

_DIRECTORY = pytest.StashKey[Path]()
_KEPT = pytest.StashKey[list[str]]()
_RUNNING = pytest.StashKey["dict[str, Cluster]"]()  # by shape
_CLUSTERS = ("kafka_cluster_fresh", "kafka_cluster")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kafka", "Kafka clusters (odradek)")
    group.addoption("--kafka-brokers", type=int, default=3, metavar="N", help="brokers of kafka_cluster (default: 3)")
    group.addoption("--kafka-keep", action="store_true", help="leave kafka_cluster running at the end, and say where")
    group.addoption(
        "--kafka-external", metavar="HOST:PORT", help="kafka_cluster is this one, which must run already"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kafka(brokers=3, config={...}, partitions=3, in_process=False): the cluster this test needs (odradek)",
    )
    config.stash[_KEPT] = []
    config.stash[_RUNNING] = {}


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the process that starts xdist's workers: where they find each other's clusters."""
    config = node.config
    if _DIRECTORY not in config.stash:
        config.stash[_DIRECTORY] = Path(tempfile.mkdtemp(prefix="odradek-"))
    node.workerinput["odradek"] = {"directory": str(config.stash[_DIRECTORY]), "owner": os.getpid()}


def pytest_sessionfinish(session: pytest.Session) -> None:
    running = session.config.stash[_RUNNING]
    if not session.config.getoption("--kafka-keep"):
        while running:
            running.popitem()[1].close()
    directory = session.config.stash.get(_DIRECTORY, None)
    if directory is None:
        return
    if session.config.getoption("--kafka-keep"):
        session.config.stash[_KEPT] += [str(found.parent) for found in sorted(directory.glob("*/cluster.json"))]
        return
    from testing.shared import end_all

    end_all(directory)
    shutil.rmtree(directory, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for directory in config.stash[_KEPT]:
        bootstrap = json.loads((Path(directory) / "cluster.json").read_text())["bootstrap"]
        terminalreporter.write_line(f"kept Kafka cluster {bootstrap}; stop it: odradek down --data-dir {directory}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for a shape of their own get a kafka_cluster of that shape, shared with those of the same."""
    shape = _shape(metafunc.definition)
    if shape and "kafka_cluster" in metafunc.fixturenames:
        name = ",".join(f"{key}={value}" for key, value in sorted(shape.items()) if key != "config") or "config"
        metafunc.parametrize("kafka_cluster", [shape], ids=[name], indirect=True, scope="session")


@pytest.fixture(scope="session")
def kafka_cluster(request: pytest.FixtureRequest) -> Cluster:
    """A running cluster with `bootstrap`, `leader(...)`, `kill_leader(...)`…; leave it healed."""
    config, shape = request.config, dict(getattr(request, "param", {}))
    address = config.getoption("--kafka-external")
    running, name = config.stash[_RUNNING], "" if address else json.dumps(shape, sort_keys=True, default=str)
    if name not in running:
        # pytest ends a fixture when its parameter changes, and would start it anew: ours last for the session
        if address:
            from testing.shared import external

            running[name] = external(address)
        else:
            running[name] = _start(config, shape)
    return running[name]


@pytest.fixture
def kafka_cluster_fresh(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster for this test alone."""
    from testing.cluster import Cluster

    shape = _shape(request.node)
    brokers, in_process = _brokers(request.config, shape), bool(shape.get("in_process"))
    with Cluster(brokers, configs=_configs(shape), in_process=in_process) as cluster:
        yield cluster


@pytest.fixture
def kafka_topic(request: pytest.FixtureRequest) -> Iterator[str]:
    """A topic of 3 partitions (or the marker's number) on up to 3 brokers; deleted only where the cluster stays."""
    from clients.admin_types import NewTopic

    cluster: Cluster = _cluster_of(request)
    marker = request.node.get_closest_marker("kafka")
    partitions = int(marker.kwargs.get("partitions", 3)) if marker else 3
    name = f"{_slug(request.node.name)}-{uuid.uuid4().hex[:8]}"
    cluster.admin.create_topics([NewTopic(name, partitions, min(3, cluster.size))])
    yield name
    if request.config.getoption("--kafka-external"):
        cluster.admin.delete_topics([name])


@pytest.fixture
def kafka_group(request: pytest.FixtureRequest) -> str:
    """A consumer group's name that no other test uses."""
    return f"{_slug(request.node.name)}-{uuid.uuid4().hex[:8]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if name in _CLUSTERS and not item.config.getoption("--kafka-external"):
                from testing.report import sections

                report.sections += sections(value)
    return report


def _start(config: pytest.Config, shape: dict[str, Any]) -> Cluster:
    from testing.cluster import Cluster

    brokers, configs = _brokers(config, shape), _configs(shape)
    keep = bool(config.getoption("--kafka-keep"))
    workers = getattr(config, "workerinput", {}).get("odradek")
    if workers is not None and not shape.get("in_process"):
        from testing.shared import shared

        digest = hashlib.sha256(json.dumps([brokers, configs], sort_keys=True).encode()).hexdigest()[:8]
        owner = 0 if keep else workers["owner"]
        return shared(Path(workers["directory"]), f"kafka-{brokers}-{digest}", brokers, configs, owner)
    cluster = Cluster(brokers, configs=configs, in_process=bool(shape.get("in_process")), outlives_caller=keep)
    try:
        cluster.start()
    except BaseException:
        cluster.close()
        raise
    if keep:
        config.stash[_KEPT].append(str(cluster.data_dir))
    return cluster


def _cluster_of(request: pytest.FixtureRequest) -> Any:
    for name in _CLUSTERS:
        if name in request.fixturenames:
            return request.getfixturevalue(name)
    return request.getfixturevalue("kafka_cluster")


def _shape(node: Any) -> dict[str, Any]:
    """What the marker says about the cluster itself."""
    marker = node.get_closest_marker("kafka")
    if marker is None:
        return {}
    unknown = marker.kwargs.keys() - {"brokers", "config", "partitions", "in_process"}
    if marker.args or unknown:
        raise pytest.UsageError(
            f"@pytest.mark.kafka of {node.nodeid}: it takes brokers=, config=, partitions= and in_process="
        )
    return {name: value for name, value in marker.kwargs.items() if name != "partitions"}


def _brokers(config: pytest.Config, shape: dict[str, Any]) -> int:
    return int(shape.get("brokers") or (1 if shape.get("in_process") else config.getoption("--kafka-brokers")))


def _configs(shape: dict[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (shape.get("config") or {}).items()
    }


def _slug(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", name).strip("-")[:80]
