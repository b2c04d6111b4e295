"""A llama.cpp engine behind Ollama's protocol, for machines without Ollama: it is not Ollama.

One model, one slot. Answers, counts and durations are the engine's own. Other than Ollama it
never truncates: a prompt longer than the context is refused, a full context ends the answer
with `length`. Options that configure a runner (`num_ctx` and the like) are checked, not obeyed.
`python -m ollameter.embedded` runs it in the foreground.
"""

from ollameter.embedded.server import EmbeddedOllama

__all__ = ["EmbeddedOllama"]
