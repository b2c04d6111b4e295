"""The whole back end on loopback, wired as compose wires it: collector, Jaeger and Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.stack.servers import Collector, Jaeger, Prometheus

SHIPPED = Path(__file__).parents[2] / "otel-collector"
COLLECTOR_FILE = SHIPPED / "collector.yaml"
JAEGER_FILE = SHIPPED / "jaeger.yaml"
PROMETHEUS_FILE = SHIPPED / "prometheus" / "prometheus.yml"


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Where the three are installed."""

    collector: Path
    jaeger: Path
    prometheus: Path


@dataclass(frozen=True, slots=True)
class Stack:
    """The running servers; applications send to `collector`, the others are asked."""

    collector: Collector
    jaeger: Jaeger
    prometheus: Prometheus


@contextmanager
def running_stack(
    prefixes: Prefixes, folder: Path, *, storage: str = "memory", overlays: tuple[Path, ...] = ()
) -> Iterator[Stack]:
    """Start all three from the shipped files; scrapes and rules run each second instead of each 15 s.

    `overlays` are further files for the collector: maps are merged, lists replaced.
    """
    prometheus = Prometheus(prefixes.prometheus, PROMETHEUS_FILE, folder=folder / "prometheus")
    prometheus.replace_in_config("15s", "1s")
    with prometheus:
        jaeger = Jaeger(
            prefixes.jaeger,
            JAEGER_FILE,
            prometheus_url=prometheus.url,
            storage=storage,
            folder=folder / "jaeger",
        )
        with jaeger:
            collector = Collector(
                prefixes.collector,
                (COLLECTOR_FILE, *overlays),
                jaeger_otlp=jaeger.otlp_address,
                prometheus_otlp=prometheus.otlp_url,
                folder=folder / "collector",
            )
            with collector:
                prometheus.replace_in_config("otel-collector:8888", collector.metrics_address)
                yield Stack(collector, jaeger, prometheus)
