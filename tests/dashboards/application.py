"""A program that calls models, with a clock, a machine and an SDK that a test holds in its hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from ollameter import OllamaProvider, OllameterError, Stream
from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import ModelMemory
from ollameter.host.sampling import Probes
from ollameter.telemetry import gauges
from ollameter.testing import FakeOllama, ManualClock
from ollameter.testing.answers import Answer, chat_lines, error_answer, generate_lines, json_answer
from tests.dashboards.backdated import BackdatedMetrics
from tests.host.staged import Holder, until

_NS = 1_000_000_000
_PORT = 11434
ASKED = [{"role": "user", "content": "Why is the sky blue?"}]


class Application:
    """One service: its calls last as long as it says, and are exported at the times it says."""

    def __init__(
        self, service: str, fake: FakeOllama, endpoint: str, *, host: str, began_at_s: int, machine: Probes
    ) -> None:
        resource = Resource(
            {"service.name": service, "service.instance.id": f"{service}-1", "host.name": host}
        )
        self._metrics = BackdatedMetrics(endpoint, resource, began_at_s)
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracers.add_span_processor(
            SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"))
        )
        providers: dict[str, Any] = {
            "tracer_provider": self._tracers,
            "meter_provider": self._metrics.meter_provider,
        }
        self.clock = ManualClock(unix_ns=began_at_s * _NS)
        self._fake = fake
        self._llm = OllamaProvider(
            fake.base_url, host_monitor=False, watch_models=False, clock=self.clock, **providers
        )
        self._open: list[Stream] = []
        self._machine = _Machine(machine)
        gauges.register(self._metrics.meter_provider, self._machine.monitor)

    def chats(
        self, model: str, *gaps_s: float, context_length: int, tried_before: int = 0, **numbers: Any
    ) -> None:
        """Chat with the fake server; chunks come after these gaps, the last is the done line."""
        self._sees(_loaded(model, context_length))
        self._answer("/api/chat", chat_lines(*_words(gaps_s), model=model, **numbers), tried_before)
        self._read(self._llm.stream(ASKED, model), gaps_s)

    def generates(
        self, model: str, *gaps_s: float, is_cold: bool, tried_before: int = 0, **numbers: Any
    ) -> None:
        """Generate likewise, with a model that is not in memory yet, or is."""
        self._sees(*([] if is_cold else [_loaded(model, 0)]))
        self._answer("/api/generate", generate_lines(*_words(gaps_s), model=model, **numbers), tried_before)
        self._read(self._llm.stream_generate("Why is the sky blue?", model), gaps_s)

    def _answer(self, path: str, lines: list[dict[str, Any]], tried_before: int) -> None:
        refused = [error_answer(503, "server busy", Retry_After="0")] * tried_before
        self._fake.script(path, *refused, Answer(lines=lines))

    def _sees(self, *loaded: dict[str, Any]) -> None:
        """Look at what is in memory, without a span, as the provider does by itself at times."""
        self._fake.script("/api/ps", json_answer({"models": list(loaded)}))
        with suppress_instrumentation():
            self._llm.running()

    def _read(self, stream: Stream, gaps_s: Sequence[float]) -> None:
        with stream:
            for gap_s in gaps_s:
                self.clock.advance(gap_s)
                next(stream)

    def fails(self, model: str, after_s: float) -> None:
        """Chat with the fake server, which answers 500 in the end."""
        self._fake.script("/api/chat", error_answer(500, "out of memory"))
        stream = self._llm.stream(ASKED, model)
        self.clock.advance(after_s)
        try:
            next(stream)
        except OllameterError as error:
            assert error.error_type == "500"
        else:
            raise AssertionError("the call was to fail")

    def begins(self, model: str) -> None:
        """Begin a call that goes on until the application is closed."""
        self._open.append(self._llm.stream(ASKED, model))

    def reports(self, *models: ModelMemory) -> None:
        """Say which models the server has loaded."""
        self._machine.loads(*models)

    def exports(self, at_s: int) -> None:
        """Export metrics as of that time."""
        self._metrics.export(at_s)

    def close(self) -> None:
        """End what is open, and stop."""
        self._llm.close()
        self._machine.close()
        self._tracers.shutdown()
        self._metrics.close()


def _words(gaps_s: Sequence[float]) -> list[str]:
    return ["word "] * (len(gaps_s) - 1)


def _loaded(model: str, context_length: int) -> dict[str, Any]:
    return {"name": model, "model": model, "size": 1, "size_vram": 0, "context_length": context_length}


class _Machine:
    """A monitor that samples a staged machine with Ollama's default port."""

    def __init__(self, probes: Probes) -> None:
        self.monitor = HostMonitor(interval_s=0.01, probes=lambda servers: probes)
        self.monitor.watch("127.0.0.1", _PORT)
        self._holder = Holder()
        self.monitor.acquire(self._holder)
        until(self.monitor.latest)

    def loads(self, *models: ModelMemory) -> None:
        """Replace the loaded models, and wait until that is what is seen."""
        self.monitor.note_models("127.0.0.1", _PORT, list(models))
        until(lambda: self._loaded() == models)

    def _loaded(self) -> tuple[ModelMemory, ...]:
        now = self.monitor.latest()
        return () if now is None else tuple(now.models.get(("127.0.0.1", _PORT), ()))

    def close(self) -> None:
        """Stop sampling."""
        self.monitor.release(self._holder)
