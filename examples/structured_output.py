"""An answer as a value of a type: its JSON schema is enforced by the server, `.parsed` is the value."""

import sys
from dataclasses import dataclass

from ollameter import InvalidResponse, OllamaProvider


@dataclass
class City:
    """What is asked for."""

    name: str
    country: str
    inhabitants: int


def main(model: str) -> None:
    with OllamaProvider(model=model) as llm:
        question = [{"role": "user", "content": "Tell me about Lisbon, as JSON."}]
        reply = llm.chat(question, format=City, options={"temperature": 0, "num_predict": 100})
        print(reply.text)
        try:
            city: City = reply.parsed
            print(f"{city.name} in {city.country} has {city.inhabitants} inhabitants")
        except InvalidResponse as error:  # cut off by num_predict, say; the text is not lost
            print(f"{error}: {error.partial_text!r}")
        print(reply.metrics)


if __name__ == "__main__":
    main(sys.argv[1])
