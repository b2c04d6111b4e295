"""What a call's numbers warn of, said in the log: once a model and kind in ten minutes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ollameter.metrics import PerformanceMetrics

_log = logging.getLogger("ollameter")
_AGAIN_AFTER_S = 600.0
_REMEMBERED = 256
NEARLY_FULL = 0.9


class Advice:
    """Warns, on the logger `ollameter`, of what costs answers or time without any error."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_s: dict[tuple[str, str], float] = {}

    def judge(self, metrics: PerformanceMetrics) -> None:
        """Warn of a prompt that was probably cut, or of a context that is nearly full."""
        if metrics.prompt_truncated:
            self._say(
                "the prompt was probably cut by the server: it counted %s tokens%s; "
                "send less, or raise num_ctx",
                metrics.model, metrics.prompt_eval_count, _context(metrics),
            )  # fmt: skip
            return
        full = metrics.context_utilization
        if full is None or full < NEARLY_FULL:
            return
        if full >= 1.0 and metrics.finish_reason == "length":
            self._say("the answer ended because the context was full%s", metrics.model, _context(metrics))
        else:
            self._say("the context was %.0f %% full%s", metrics.model, 100 * full, _context(metrics))

    def reloaded(self, model: str, options: Sequence[str]) -> None:
        """Warn that the server loaded the model again, for options other than a call before."""
        self._say("it was loaded again for other options than before: %s", model, ", ".join(options))

    def _say(self, text: str, model: str, *values: object) -> None:
        key, now_s = (text, model), self._clock()
        if now_s - self._said_s.get(key, -_AGAIN_AFTER_S) < _AGAIN_AFTER_S:
            return
        if len(self._said_s) >= _REMEMBERED:
            self._said_s.clear()
        self._said_s[key] = now_s
        _log.warning(f"model %s: {text}", model, *values)


def _context(metrics: PerformanceMetrics) -> str:
    length = None if metrics.model_info is None else metrics.model_info.context_length
    return "" if length is None else f" of a context of {length}"
