"""A streamed answer: chunks as they come, the metrics when it has ended."""

import sys

from ollameter import OllamaProvider, OllameterError


def main(model: str) -> None:
    with OllamaProvider(model=model) as llm:
        question = [{"role": "user", "content": "Count from 1 to 5."}]
        try:
            with llm.stream(question, options={"num_predict": 32}) as stream:
                for chunk in stream:
                    print(chunk.text, end="", flush=True)
            print(f"\n{stream.metrics}")
        except OllameterError as error:
            print(f"\n{error} after {error.partial_text!r}: {error.metrics}")


if __name__ == "__main__":
    main(sys.argv[1])
