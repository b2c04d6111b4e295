"""Models played by a fake server: one slot, a load, a speed; it reports how long it lets one wait."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from ollameter.testing import FakeOllama
from ollameter.testing.answers import Answer, chat_lines

_CHUNKS = 8
_NS = 1_000_000_000


@dataclass
class PlayedModel:
    """One model on a server of its own; speeds in tokens per second, which may change meanwhile."""

    name: str
    load_s: float
    keeps_s: float
    reads: float
    writes: float
    fake: FakeOllama = field(init=False)
    _slot: threading.Lock = field(default_factory=threading.Lock)
    _free_at_s: float = -1e9

    def __post_init__(self) -> None:
        self.fake = FakeOllama([self.name])

    def prepare(self, prompt: int, output: int) -> None:
        """Have the next chat answered as the one slot allows: after those before it."""
        with self._slot:
            now_s = time.monotonic()
            queue_s = max(0.0, self._free_at_s - now_s)
            is_cold = now_s - self._free_at_s > self.keeps_s
            load_s = self.load_s if is_cold else 0.003
            prompt_s, decode_s = prompt / self.reads, output / self.writes
            self._free_at_s = now_s + queue_s + load_s + prompt_s + decode_s
        lines = chat_lines(
            *["word "] * _CHUNKS,
            model=self.name,
            total_duration=round((queue_s + load_s + prompt_s + decode_s) * _NS),
            load_duration=round(load_s * _NS),
            prompt_eval_count=prompt,
            prompt_eval_cached_count=0,
            prompt_eval_duration=round(prompt_s * _NS),
            eval_count=output,
            eval_duration=round(decode_s * _NS),
        )
        answer = Answer(lines=lines, delay_s=queue_s + load_s + prompt_s, gap_s=decode_s / _CHUNKS)
        self.fake.script("/api/chat", answer)
