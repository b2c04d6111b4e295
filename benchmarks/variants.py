"""What is compared, by name: which client, with which instrumentation and SDK switched on first."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks import clients


@dataclass(frozen=True)
class Variant:
    """One process's set-up; `sdk` is None for none, else whether its spans are sampled."""

    client: Callable[[str], Any]
    sdk: bool | None = None
    instrument: Callable[[], object] | None = None
    is_peer: bool = False  # runs in the peers' environment
    env: dict[str, str] = field(default_factory=dict)


def _openllmetry() -> None:
    import_module("opentelemetry.instrumentation.ollama").OllamaInstrumentor().instrument()


def _openinference() -> None:
    import_module("openinference.instrumentation.ollama").OllamaInstrumentor().instrument()


def _openlit() -> None:
    # Its prices would come from the network; its other instrumentations are not what is compared.
    openlit: Any = import_module("openlit")
    others = set(import_module("openlit._instrumentors").MODULE_NAME_MAP) - {"ollama"}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as prices:
        prices.write('{"chat": {}}')
        prices.flush()
        openlit.init(pricing_json=prices.name, disabled_instrumentors=sorted(others))


_peer = partial(Variant, clients.Ollama, is_peer=True)
_CHUNKS = {"OLLAMETER_CHUNK_METRICS": "true"}

VARIANTS: dict[str, Variant] = {
    "http.client": Variant(clients.HttpClient),
    "requests": Variant(clients.Requests),
    "aiohttp": Variant(clients.Aiohttp),
    "ollama": _peer(),
    "ollama + OpenLLMetry": _peer(sdk=True, instrument=_openllmetry),
    "ollama + OpenInference": _peer(sdk=True, instrument=_openinference),
    "ollama + OpenLIT": _peer(sdk=True, instrument=_openlit),
    "ollameter": Variant(clients.Ours, sdk=True),
    "ollameter, not sampled": Variant(clients.Ours, sdk=False),
    "ollameter, no SDK": Variant(clients.Ours),
    "ollameter, telemetry cut out": Variant(partial(clients.Ours, cut_out=True)),
    "the SDK alone": Variant(clients.Least, sdk=True),
    "ollameter, arrival times": Variant(partial(clients.Ours, takes_times=True), sdk=True),
    "ollameter, chunk metric": Variant(clients.Ours, sdk=True, env=_CHUNKS),
}
OURS = "ollameter"
CUT_OUT = "ollameter, telemetry cut out"
