"""Not a word about telemetry: `opentelemetry-instrument python examples/zero_code.py llama3.2` exports it.

OTEL_TRACES_EXPORTER=console and OTEL_METRICS_EXPORTER=console print what would be exported.
"""

import sys

from ollameter import OllamaProvider


def main(model: str) -> None:
    with OllamaProvider(model=model) as llm:
        print(llm.chat([{"role": "user", "content": "Say hello."}], options={"num_predict": 16}).text)


if __name__ == "__main__":
    main(sys.argv[1])
