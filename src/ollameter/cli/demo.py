"""One instrumented call, shown whole: the answer, what it cost, the span and the metrics.

Talks to a running Ollama that has a model, else to the embedded engine. Never waits for input;
ends with 1 when anything failed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ollameter import OllamaProvider, OllameterError, PerformanceMetrics, Stream
from ollameter.telemetry import names
from ollameter.testing import CapturedTelemetry
from ollameter.testing.captured import CapturedSpan

QUESTION = "Why is the sky blue? Answer in two sentences."
_BAR_WIDTH = 40


def main() -> int:
    """Run the demo; return the exit code."""
    os.environ.setdefault("OTEL_SERVICE_NAME", "ollameter-demo")
    captured = CapturedTelemetry(export=bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")))
    try:
        with _server() as (base_url, model), captured:
            metrics = _call(base_url, model, captured)
            print_metrics(metrics)
            print_telemetry(captured)
            _check(metrics, captured.span)
    except (OllameterError, ImportError, AssertionError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _server() -> Iterator[tuple[str | None, str]]:
    """Yield where to call which model: a running Ollama, else the embedded engine."""
    with OllamaProvider() as llm:
        running = llm.is_available()
    models = running.models or ()
    if models:
        wanted = os.environ.get("OLLAMETER_DEMO_MODEL", models[0])
        print(f"Using the Ollama that is running, model {wanted}.\n")
        yield None, wanted
        return
    print("No Ollama with a model is running here: starting the embedded engine (it is not Ollama).\n")
    from ollameter.embedded import EmbeddedOllama

    with EmbeddedOllama() as server:
        yield server.base_url, server.model


def _call(base_url: str | None, model: str, captured: CapturedTelemetry) -> PerformanceMetrics:
    """Stream one answer to the terminal, and return what it cost."""
    print(f"> {QUESTION}\n")
    with OllamaProvider(base_url, model=model, **captured.providers) as llm:
        question = [{"role": "user", "content": QUESTION}]
        with llm.stream(question, options={"num_predict": 96, "temperature": 0}) as stream:
            _print_answer(stream)
    assert stream.metrics is not None  # noqa: S101  # a stream that has ended has metrics
    return stream.metrics


def _print_answer(stream: Stream) -> None:
    for chunk in stream:
        print(chunk.thinking or chunk.text, end="", flush=True)
    print("\n")


def print_metrics(metrics: PerformanceMetrics) -> None:
    """Print what a call cost: its phases, which add up, and its rates."""
    print(f"What it cost\n  {metrics}\n")
    phases = {
        "load": metrics.load_s,
        "queue and rest": metrics.unattributed_s,
        "prompt": metrics.prompt_eval_s,
        "decode": metrics.eval_s,
        "client and network": metrics.client_overhead_s,
    }
    for name, seconds in phases.items():
        share = 0.0 if seconds is None else seconds / metrics.duration_s
        shown = "unknown" if seconds is None else f"{seconds * 1000:9.1f} ms {share:6.1%}"
        print(f"  {name:<20}{shown}  {'█' * round(share * _BAR_WIDTH)}")
    print(f"  {'whole call':<20}{metrics.duration_s * 1000:9.1f} ms\n")


def print_telemetry(captured: CapturedTelemetry) -> None:
    """Print the span as JSON and every metric by its name."""
    span = captured.span
    shown = {"name": span.name, "kind": span.kind, "status": span.status, "trace_id": span.trace_id}
    print("The span that is exported")
    print(json.dumps({**shown, "attributes": span.attributes}, indent=2, ensure_ascii=False))
    print("\nThe metrics that are exported")
    for name, metric in sorted(captured.metrics.items()):
        for point in metric.points:
            kind = point.attributes.get(names.TOKEN_TYPE, "")
            value = point.value if point.sum is None else point.sum
            print(f"  {name:<46}{value:>14.6g} {metric.unit} {kind}")


def _check(metrics: PerformanceMetrics, span: CapturedSpan) -> None:
    """Fail loudly when inline and exported numbers differ, or the phases do not add up."""
    problems = []
    if metrics.outcome != "completed":
        problems.append(f"the call ended as {metrics.outcome}")
    if span.attributes.get(names.REQUEST_DURATION) != metrics.total_s:
        problems.append("the span's duration is not the metrics'")
    if span.attributes.get(names.USAGE_OUTPUT_TOKENS) != metrics.output_tokens:
        problems.append("the span's tokens are not the metrics'")
    parts = [metrics.load_s, metrics.prompt_eval_s, metrics.eval_s]
    if metrics.total_s is None or sum(part or 0 for part in parts) > metrics.total_s + 0.001:
        problems.append("the phases are longer than the whole")
    elif metrics.total_s > metrics.duration_s + 0.001:
        problems.append("the server's time is longer than the call")
    if problems:
        raise OllameterError("; ".join(problems))


if __name__ == "__main__":
    sys.exit(main())
