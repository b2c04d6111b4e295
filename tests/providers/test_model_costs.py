"""What knowing the model costs a call: no more than reading one line of an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ollameter.metrics import ModelFacts, PerformanceMetrics
from ollameter.providers.model_view import ModelView
from ollameter.providers.model_watch import ModelWatch
from tests.providers.watched import final, request, running
from tests.untraced import untraced

LINE = (
    b'{"model":"llama3.2","created_at":"2026-01-02T03:04:05.678901234Z",'
    b'"message":{"role":"assistant","content":"Hel"},"done":false}'
)
ROUNDS, TIMES = 9, 2000


def cheapest_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one run, in the best of some rounds."""
    rounds = []
    with untraced():
        for _ in range(ROUNDS):
            begun_s = time.thread_time()
            for _ in range(TIMES):
                work()
            rounds.append((time.thread_time() - begun_s) / TIMES)
    return min(rounds)


def test_a_call_pays_little_for_what_it_says_of_its_model() -> None:
    """About one `json.loads` of a chunk's line (2 µs); threefold room for a busy machine."""
    watch = ModelWatch(None)
    watch.saw_running([running()], watch.clock())
    asked, end = request(options={"num_ctx": 4096}), final()
    metrics = PerformanceMetrics(
        operation="chat", model="llama3.2", started_at=datetime(2026, 1, 1, tzinfo=UTC), duration_s=0.5,
        outcome="completed", model_info=ModelFacts(context_length=4096),
    )  # fmt: skip

    def call() -> None:
        view = ModelView(watch, asked)
        view.describe(end)
        view.note(metrics)

    assert cheapest_s(call) <= 3 * cheapest_s(lambda: json.loads(LINE))
