"""With a real Ollama behind it, no panel is empty but those of what did not happen."""

from __future__ import annotations

import pytest

from ollameter import ModelNotFound, OllamaProvider
from ollameter.testing import CapturedTelemetry
from tests.dashboards.asking import Chosen, ask
from tests.dashboards.shipped import everything_asked
from tests.stack.backend import Stack
from tests.stack.servers import RealOllama
from tests.stack.stored import eventually

CHOSEN = Chosen(services=("real-ollama",), models=(), range_s=300, rate_interval_s=60)
# No GPU, nothing refused, tried again or lost; whether the model was in memory is left to the other tests.
MAY_BE_EMPTY = (
    "machine / GPU",
    "models / Cold starts",
    "errors / Retries",
    "pipeline / Lost",
    "pipeline / Refused",
)


def test_every_other_panel_shows_something(
    stack: Stack, real_ollama: RealOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a stream and a call that failed, with the machine as it is."""
    for name, setting in {
        "OTEL_SERVICE_NAME": CHOSEN.services[0],
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.collector.grpc_endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OLLAMETER_CHUNK_METRICS": "true",
    }.items():
        monkeypatch.setenv(name, setting)

    def empty() -> list[str]:
        answers = {each.key: ask(stack.prometheus.url, each.expr, CHOSEN) for each in everything_asked()}
        return [key for key, found in answers.items() if not found and not key.startswith(MAY_BE_EMPTY)]

    with CapturedTelemetry(export=True) as telemetry:
        with OllamaProvider(real_ollama.base_url, model=real_ollama.model, **telemetry.providers) as llm:

            def calls() -> list[str]:
                with llm.stream(
                    [{"role": "user", "content": "Name a colour."}], options={"num_predict": 8}
                ) as stream:
                    assert len(list(stream)) > 1
                with pytest.raises(ModelNotFound):
                    llm.chat([{"role": "user", "content": "Hi"}], "no-such-model")
                return empty()

            assert eventually(calls, lambda found: not found, within_s=60) == []
