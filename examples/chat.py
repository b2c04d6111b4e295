"""One call: the answer and what it cost, in the same return value."""

import sys

from ollameter import OllamaProvider


def main(model: str) -> None:
    with OllamaProvider(model=model) as llm:
        text, metrics = llm.chat([{"role": "user", "content": "Why is the sky blue?"}])
        print(text)
        print(metrics)
        print(f"{metrics.tokens_per_second or 0:.1f} tok/s, loaded in {metrics.load_s} s")


if __name__ == "__main__":
    main(sys.argv[1])
