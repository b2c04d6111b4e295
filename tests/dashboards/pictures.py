"""Remake the pictures in docs/dashboards: minutes of calls to played models, in a real back end.

`python -m tests.dashboards.pictures` (with `python tests/stack/install.py` done before).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from threading import Event

from ollameter import configure
from tests.dashboards.asking import Chosen
from tests.dashboards.drawing.answers import Window
from tests.dashboards.drawing.page import draw_page
from tests.dashboards.mixed_calls import MixedCalls
from tests.dashboards.played import PlayedModel
from tests.dashboards.shipped import FILES, read
from tests.stack.backend import Prefixes, Stack, running_stack
from tests.stack.install import installed
from tests.stack.loopback import fetch_json

PICTURES = Path(__file__).parents[2] / "docs" / "dashboards"
SERVICE = "shop"
_SECONDS, _STEP_S, _RATE_S = 240, 2, 20
_EXPORT = {
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "OLLAMETER_CHUNK_METRICS": "true",
}
_NOTE = (
    "A drawing by matplotlib, not a screenshot of Grafana: the same PromQL, asked of a real Prometheus. "
    "The models are played by FakeOllama, the machine is real and has no GPU. Times are UTC."
)


def main(arguments: list[str] | None = None) -> None:
    """Start the servers, make the calls, draw every dashboard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="how long to call models")
    parser.add_argument("--folder", type=Path, default=PICTURES)
    asked = parser.parse_args(arguments)
    prefixes = Prefixes(*map(_installed, ("collector", "jaeger", "prometheus")))
    with tempfile.TemporaryDirectory() as folder, running_stack(prefixes, Path(folder)) as stack:
        start_s = int(time.time())
        _call_models(stack, asked.seconds)
        Event().wait(3)  # the last exports, and the scrape after them
        window = _window(stack, start_s, asked.seconds)
        asked.folder.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            draw_page(read(file), window, _NOTE, asked.folder / f"{file.stem}.png")


def _installed(name: str) -> Path:
    return installed(name) or sys.exit(f"{name} is not built: run `python tests/stack/install.py {name}`")


def _call_models(stack: Stack, seconds: float) -> None:
    os.environ.update(_EXPORT, OTEL_EXPORTER_OTLP_ENDPOINT=stack.collector.grpc_endpoint)
    large = PlayedModel("llama3.2", load_s=2.5, keeps_s=600, reads=800, writes=60)
    small = PlayedModel("qwen3:0.6b", load_s=1.2, keeps_s=6, reads=2_000, writes=150)
    with configure(SERVICE), large.fake, small.fake:
        fetch_json(f"{large.fake.base_url}/api/chat", {"model": large.name, "messages": []})  # loads it
        MixedCalls(large, small, seconds).run()


def _window(stack: Stack, start_s: int, seconds: int) -> Window:
    chosen = Chosen(services=(SERVICE,), models=(), range_s=seconds, rate_interval_s=_RATE_S)
    return Window(stack.prometheus.url, chosen, start_s, start_s + seconds, _STEP_S)


if __name__ == "__main__":
    main()
