"""What pytest loads by the entry point: the plugin of `testing/plugin.py`."""

from testing.plugin import (
    kafka_cluster,
    kafka_cluster_fresh,
    kafka_group,
    kafka_topic,
    pytest_addoption,
    pytest_configure,
    pytest_configure_node,
    pytest_generate_tests,
    pytest_runtest_makereport,
    pytest_sessionfinish,
    pytest_terminal_summary,
)

__all__ = [
    "kafka_cluster",
    "kafka_cluster_fresh",
    "kafka_group",
    "kafka_topic",
    "pytest_addoption",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]
