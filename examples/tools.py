"""Functions the model may call: described by their signatures, run by `run_tools`."""

import sys

from ollameter import OllamaProvider, TooManyRounds


def population(city: str, year: int = 2025) -> str:
    """Tell how many people live in a city.

    Args:
        city: The city's English name.
        year: Of which year.

    """
    return f"{city} had about {len(city)} million inhabitants in {year}."


def main(model: str) -> None:
    with OllamaProvider(model=model) as llm:
        question = [{"role": "user", "content": "How many people live in Lisbon?"}]
        try:
            reply = llm.run_tools(question, [population], max_rounds=4)
        except TooManyRounds as error:
            print(f"{error}; so far: {error.messages}")
            return
        print(reply.text)
        for number, answer in enumerate(reply.rounds, start=1):
            print(f"round {number}: {answer.metrics}")


if __name__ == "__main__":
    main(sys.argv[1])
