"""The real servers' fixtures, for the tests in this folder."""

from tests.stack.fixtures import (
    collector_prefix,
    jaeger_prefix,
    ollama_legacy_prefix,
    ollama_prefix,
    prometheus_prefix,
    real_ollama,
)

__all__ = [
    "collector_prefix",
    "jaeger_prefix",
    "ollama_legacy_prefix",
    "ollama_prefix",
    "prometheus_prefix",
    "real_ollama",
]
