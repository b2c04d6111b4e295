"""Export to a collector from a script that has no OpenTelemetry SDK of its own.

Set OTEL_EXPORTER_OTLP_ENDPOINT (http://localhost:4317 by default) and run it.
"""

import sys

import ollameter


def main(model: str) -> None:
    with ollameter.configure(service_name="ollameter-example"):
        with ollameter.OllamaProvider(model=model, phase_spans=True) as llm:
            text, metrics = llm.chat([{"role": "user", "content": "Say hello."}])
        print(text)
        print(metrics)


if __name__ == "__main__":
    main(sys.argv[1])
