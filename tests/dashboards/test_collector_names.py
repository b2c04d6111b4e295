"""A real collector calls its own metrics as the dashboards and the staged numbers do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc

from ollameter.testing import FakeOllama
from tests.dashboards.collector_metrics import EACH_STEP, LEVELS
from tests.dashboards.shipped import metrics_asked
from tests.stack.backend import COLLECTOR_FILE
from tests.stack.loopback import fetch_json, free_port
from tests.stack.servers import Collector
from tests.stack.stored import eventually

STAGED = {
    **{name: frozenset(labels) for name, (labels, _) in EACH_STEP.items()},
    **{name: frozenset(levels[0][0]) for name, levels in LEVELS.items()},
}
SMALL_QUEUES = """
exporters:
  otlp_grpc/jaeger: {sending_queue: {queue_size: 3, batch: {min_size: 1, max_size: 1}}}
  otlp_http/prometheus: {sending_queue: {queue_size: 3, batch: {min_size: 1, max_size: 1}}}
"""
SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "one", "kind": 3,
    "startTimeUnixNano": "1000", "endTimeUnixNano": "2000",
}  # fmt: skip
GAUGE = {"name": "one", "gauge": {"dataPoints": [{"timeUnixNano": "1000", "asInt": "1"}]}}
SENT = {
    "v1/traces": {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]},
    "v1/metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [GAUGE]}]}]},
}

Labels = Mapping[str, frozenset[str]]


@contextmanager
def refusing() -> Iterator[str]:
    """Serve gRPC without any service: what is sent there is refused for good."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def named_after_sending(collector: Collector, wanted: set[str]) -> dict[str, frozenset[str]]:
    """Send until the collector shows these metrics, or for long enough; return all with their labels."""

    def shown() -> dict[str, frozenset[str]]:
        for path, body in SENT.items():
            try:
                fetch_json(f"{collector.http_endpoint}/{path}", body)
            except HTTPError as error:  # a full queue
                error.close()
        with urlopen(f"http://{collector.metrics_address}/metrics") as response:
            lines = re.findall(r"^(otelcol_\w+)\{(.*)\} ", response.read().decode(), flags=re.MULTILINE)
        return {name: frozenset(re.findall(r'(\w+)="', labels)) for name, labels in lines}

    return eventually(shown, lambda found: wanted <= found.keys())


def losses(kind: str) -> set[str]:
    """Return the names of one kind of loss."""
    return {name for name in STAGED if kind in name}


def test_a_collector_names_its_metrics_as_staged(collector_prefix: Path, tmp_path: Path) -> None:
    """All that panels ask for, with their labels, losses from the first one on; by two collectors.

    One has back ends that refuse everything, the other has none and little place to wait.
    """
    small = tmp_path / "small.yaml"
    small.write_text(SMALL_QUEUES)
    nobody = f"127.0.0.1:{free_port()}"
    with FakeOllama() as fake, refusing() as refuses:
        with Collector(
            collector_prefix, (COLLECTOR_FILE,), jaeger_otlp=refuses, prometheus_otlp=fake.base_url,
            folder=tmp_path / "refused",
        ) as collector:  # fmt: skip
            found = named_after_sending(collector, losses("send_failed"))
    with Collector(
        collector_prefix, (COLLECTOR_FILE, small), jaeger_otlp=nobody, prometheus_otlp=f"http://{nobody}",
        folder=tmp_path / "full",
    ) as collector:  # fmt: skip
        found |= named_after_sending(collector, losses("enqueue_failed"))

    assert {name for name in metrics_asked() if name.startswith("otelcol_")} == STAGED.keys()
    assert STAGED.keys() <= found.keys()
    assert {name: labels - found[name] for name, labels in STAGED.items() if labels - found[name]} == {}
