"""Many answers at once in one event loop: each with metrics of its own."""

import asyncio
import sys

from ollameter import OllamaProvider


async def main(model: str) -> None:
    async with OllamaProvider(model=model) as llm:
        asked = [f"Name a fruit with the letter {letter}." for letter in "ab"]
        questions = [[{"role": "user", "content": text}] for text in asked]
        replies = await asyncio.gather(*(llm.chat_async(q, options={"num_predict": 16}) for q in questions))
        for text, reply in zip(asked, replies, strict=True):
            print(f"{text} {reply.text.strip()!r}")
            print(f"  waited {reply.metrics.unattributed_s} s for a slot; {reply.metrics}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
