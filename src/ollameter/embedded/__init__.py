"""A llama.cpp engine behind Ollama's protocol, for machines without Ollama: it is not Ollama.

`python -m ollameter.embedded` runs it in the foreground.
"""

from ollameter.embedded.server import EmbeddedOllama

__all__ = ["EmbeddedOllama"]
