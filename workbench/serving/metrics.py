"""What Prometheus reads: counts, durations and the engine's load. Labels are bounded: routes, statuses, models."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from workbench.types import EngineLoad

SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class Metrics:
    """One registry a server, so that two in one process do not mix."""

    def __init__(self, load: Callable[[], EngineLoad], places: Callable[[], int]) -> None:
        """`load` tells what the engine does now, `places` how many chats are taken on."""
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "workbench_requests", "answered", ["method", "route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "workbench_request_seconds", "whole requests", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.first_token = Histogram(
            "workbench_first_token_seconds",
            "request to first words",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.retrieval = Histogram(
            "workbench_retrieval_seconds", "search and prompt", ["model"], buckets=SECONDS, registry=self._registry
        )
        self.refused = Counter("workbench_refusals", "not generated: nothing found", ["model"], registry=self._registry)
        self._registry.register(_LoadCollector(load, places))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _LoadCollector(Collector):
    def __init__(self, load: Callable[[], EngineLoad], places: Callable[[], int]) -> None:
        self._load, self._places = load, places

    def collect(self) -> Iterable[Metric]:
        load = self._load()
        yield GaugeMetricFamily("workbench_engine_running", "answers being decoded", value=load.running)
        yield GaugeMetricFamily("workbench_engine_waiting", "answers waiting for a slot", value=load.waiting)
        yield GaugeMetricFamily("workbench_engine_slots", "answers decoded together at most", value=load.slots)
        yield GaugeMetricFamily(
            "workbench_chats_taken_on", "running or waiting, searches included", value=self._places()
        )
        yield CounterMetricFamily("workbench_prompt_tokens", "read, shared prefixes once", value=load.prompt_tokens)
        yield CounterMetricFamily("workbench_new_tokens", "generated", value=load.new_tokens)
