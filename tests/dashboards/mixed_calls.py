"""A few minutes in the life of an application: calm, crowded, slow, in trouble, calm again."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

from ollameter import OllamaProvider, OllameterError, Stream, Timeouts
from ollameter.testing.answers import error_answer
from tests.dashboards.played import PlayedModel

_ASKED = [{"role": "user", "content": "Why is the sky blue?"}]
_CROWDED, _SLOW, _TROUBLED, _CALM = 0.25, 0.5, 0.7, 0.88  # where each begins, as a share of the time
_CALLERS = 7


class MixedCalls:
    """Calls two models for so many seconds; every part of the time looks different on a dashboard."""

    def __init__(self, large: PlayedModel, small: PlayedModel, seconds: float, seed: int = 7) -> None:
        self._large, self._small, self._seconds = large, small, seconds
        self._llm = {model.name: OllamaProvider(model.fake.base_url) for model in (large, small)}
        self._hasty = OllamaProvider(large.fake.base_url, timeout=Timeouts(first_byte=0.4), retries=0)
        self._chance = random.Random(seed)
        self._writes = large.writes

    def run(self) -> None:
        """Call until the time is over."""
        began_s = time.monotonic()
        callers = [
            threading.Thread(target=self._call, args=(number, began_s)) for number in range(_CALLERS)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        for llm in (*self._llm.values(), self._hasty):
            llm.close()

    def _call(self, number: int, began_s: float) -> None:
        while (share := (time.monotonic() - began_s) / self._seconds) < 1:
            self._large.writes = self._writes * (0.4 if _SLOW <= share < _TROUBLED else 1)
            if number < self._callers_at(share):
                with suppress(OllameterError):
                    self._choose(share)
            threading.Event().wait(self._chance.uniform(0.3, 1.5))

    def _callers_at(self, share: float) -> int:
        return _CALLERS if _CROWDED <= share < _SLOW else 2

    def _choose(self, share: float) -> None:
        dice = self._chance.random()
        if _TROUBLED <= share < _CALM and dice < 0.45:
            self._fail(dice)
        elif dice < 0.75:
            self._stream(self._large, self._chance.randint(60, 400), self._chance.randint(20, 140))
        else:
            self._stream(self._small, self._chance.randint(20, 60), self._chance.randint(5, 30))

    def _stream(self, model: PlayedModel, prompt: int, output: int) -> None:
        if self._chance.random() < 0.04:
            model.fake.script("/api/chat", error_answer(503, "server busy", Retry_After="1"))
        model.prepare(prompt, output)
        _read(self._llm[model.name].stream(_ASKED, model.name))

    def _fail(self, dice: float) -> None:
        if dice < 0.2:
            _read(self._llm[self._large.name].stream(_ASKED, "no-such-model"))
        elif dice < 0.35:
            self._large.fake.script("/api/chat", error_answer(500, "llama runner process has terminated"))
            _read(self._llm[self._large.name].stream(_ASKED, self._large.name))
        else:
            self._large.prepare(400, 100)
            _read(self._hasty.stream(_ASKED, self._large.name))


def _read(stream: Stream) -> None:
    with stream:
        for _ in stream:
            pass
