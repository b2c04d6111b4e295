"""A collector and a Prometheus of their own, filled with the known input once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ollameter.testing import FakeOllama
from tests.dashboards import collector_metrics, known
from tests.dashboards.application import Application
from tests.stack.backend import COLLECTOR_FILE, PROMETHEUS_FILE
from tests.stack.loopback import free_port
from tests.stack.servers import Collector, Prometheus
from tests.stack.stored import eventually, value


@dataclass(frozen=True, slots=True)
class Filled:
    """Where to ask, and the time as of which the known input ends."""

    prometheus_url: str
    now_s: int


@pytest.fixture(scope="session")
def filled(
    collector_prefix: Path, prometheus_prefix: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    """The known input in a real Prometheus, by way of a real collector, both as shipped."""
    folder = tmp_path_factory.mktemp("dashboards")
    nobody = f"127.0.0.1:{free_port()}"  # no Jaeger: traces end in the collector, their metrics do not
    with Prometheus(prometheus_prefix, PROMETHEUS_FILE, folder=folder / "prometheus") as prometheus:
        with Collector(
            collector_prefix, (COLLECTOR_FILE,), jaeger_otlp=nobody, prometheus_otlp=prometheus.otlp_url,
            folder=folder / "collector",
        ) as collector:  # fmt: skip
            yield _fill(collector, prometheus)


def _fill(collector: Collector, prometheus: Prometheus) -> Filled:
    now_s = int(time.time())
    endpoint = collector.http_endpoint
    with pytest.MonkeyPatch.context() as environment, FakeOllama(["llama3.2"]) as fake:
        environment.setenv("OLLAMETER_CHUNK_METRICS", "true")
        environment.setenv("OLLAMETER_SERVER_METRICS", "true")
        began_at_s = now_s - known.WHILE_AGO_S
        shop, other = (
            Application(
                service, fake, endpoint, host=host, began_at_s=began_at_s, machine=known.machine(busy)
            )
            for service, host, busy in (("shop", "box", 0.4), ("other", "elsewhere", 0.8))
        )
        known.play(shop, other, now_s)
        collector_metrics.play(endpoint, now_s)
        _wait_until_stored(prometheus.url, now_s)
        shop.close()
        other.close()
    return Filled(prometheus.url, now_s)


def _wait_until_stored(url: str, now_s: int) -> None:
    """Wait for the export that was sent last."""
    newest = "max(timestamp(otelcol_exporter_sent_spans))"
    assert eventually(lambda: value(url, newest, now_s), lambda found: found == now_s) == now_s
