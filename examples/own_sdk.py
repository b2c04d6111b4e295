"""In an application with an SDK of its own: hand its providers over; the call's span is below ours."""

import sys

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ollameter import OllamaProvider


def main(model: str) -> None:
    kept = InMemorySpanExporter()
    tracers, meters = TracerProvider(), MeterProvider()
    tracers.add_span_processor(SimpleSpanProcessor(kept))
    llm = OllamaProvider(model=model, tracer_provider=tracers, meter_provider=meters)
    with llm, tracers.get_tracer("shop").start_as_current_span("greet a customer"):
        print(llm.chat([{"role": "user", "content": "Say hello."}], options={"num_predict": 16}).text)
    for span in kept.get_finished_spans():
        parent = "a root" if span.parent is None else f"below {span.parent.span_id:016x}"
        print(f"{span.name}: {parent}, {len(span.attributes or {})} attributes")


if __name__ == "__main__":
    main(sys.argv[1])
