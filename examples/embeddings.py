"""Search by meaning: embed a few sentences and a question, and print the nearest; what it cost."""

import sys

from ollameter import OllamaProvider, OllameterError

SENTENCES = [
    "Hello! Good to see you.",
    "The train leaves at nine.",
    "Bread needs flour, water, salt and time.",
]


def closeness(a: list[float], b: list[float]) -> float:
    """Ollama's vectors have length 1: the product is the cosine."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def main(model: str) -> None:
    with OllamaProvider(model=model) as llm:
        try:
            vectors, metrics = llm.embed([*SENTENCES, "How do I greet somebody?"])
        except OllameterError as error:
            sys.exit(f"{model} has no embeddings: {error}")
    *known, asked = vectors
    ranked = sorted(zip(SENTENCES, known, strict=True), key=lambda pair: -closeness(pair[1], asked))
    for sentence, vector in ranked:
        print(f"{closeness(vector, asked):6.3f}  {sentence}")
    print(metrics)


if __name__ == "__main__":
    main(sys.argv[1])
