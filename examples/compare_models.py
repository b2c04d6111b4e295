"""The same question to several models, side by side: `python examples/compare_models.py llama3.2 qwen3`."""

import sys

from ollameter import OllamaProvider

QUESTION = [{"role": "user", "content": "Name three fruits."}]


def main(*models: str) -> None:
    with OllamaProvider() as llm:
        for model in models:
            llm.load(model)  # so that no answer pays for it
            with llm.stream(QUESTION, model, options={"num_predict": 32, "temperature": 0}) as stream:
                answer = "".join(chunk.text for chunk in stream)
            cost = stream.reply.metrics
            print(f"{model}: {answer.strip()!r}")
            speed, wait_s = cost.tokens_per_second or 0, cost.time_to_first_chunk_s
            print(f"  {cost.output_tokens} tokens at {speed:.1f} tok/s, first chunk after {wait_s:.3f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
