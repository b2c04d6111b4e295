"""What the numbers say about loading: whether a call found its model cold, and what loads it anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOADED_WITHIN_NS = 150_000_000
"""A shorter `load_duration` has not loaded anything: 0.5 to 110 ms are seen with a loaded model."""

RELOADING = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")
"""Options whose change makes the server load a model again; leaving one out is a change as well."""


def cold_start(load_duration: int | None, was_listed: bool | None) -> bool | None:
    """Return whether a call had to wait for its model to be loaded.

    `was_listed`: whether the server had the model in memory when it was last asked, at most ten
    seconds before the call, or while the call still waited for it; None: it was not asked.
    """
    if load_duration is None:
        return None
    if load_duration < LOADED_WITHIN_NS:
        return False
    return True if was_listed is False else None


def reload_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return those of a request's options whose change loads the model again."""
    return {name: options[name] for name in RELOADING if name in options} if options else {}


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of the options that differ, sorted."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
