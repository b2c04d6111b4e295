"""Test code that calls a model: a fake server with a scripted answer, and what was exported."""

from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry, FakeOllama, whole_chat


def summarise(llm: OllamaProvider, text: str) -> str:
    """The code under test."""
    return llm.chat([{"role": "user", "content": f"Summarise: {text}"}]).text


def main() -> None:
    with FakeOllama() as server, CapturedTelemetry() as captured:
        server.script("/api/chat", whole_chat("Short.", eval_count=2))
        with OllamaProvider(server.base_url, model="llama3.2", **captured.providers) as llm:
            print(summarise(llm, "A long story."))
        print(server.requests[0].json["messages"])
        print(captured.span.attributes["gen_ai.usage.output_tokens"])


if __name__ == "__main__":
    main()
