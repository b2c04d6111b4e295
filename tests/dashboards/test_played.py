"""Played models take the time that they report, one answer after the other."""

from __future__ import annotations

from ollameter import OllamaProvider
from tests.dashboards.played import PlayedModel


def test_one_slot_serves_one_answer_after_the_other() -> None:
    """The first loads, the second waits for it; both take as long as they say."""
    played = PlayedModel("llama3.2", load_s=0.05, keeps_s=60, reads=1_000, writes=500)
    with played.fake, OllamaProvider(played.fake.base_url, host_monitor=False) as llm:
        for _ in range(2):
            played.prepare(prompt=10, output=21)
        found = []
        for _ in range(2):
            with llm.stream([{"role": "user", "content": "Hi"}], played.name) as stream:
                assert len(list(stream)) == 9
            found.append(stream.reply.metrics)
    first, second = found

    assert (first.load_s, second.load_s) == (0.05, 0.003)
    assert (first.prompt_eval_s, first.eval_s) == (0.01, 0.042)
    assert first.unattributed_s == 0
    assert second.unattributed_s is not None
    assert 0 < second.unattributed_s <= 0.05 + 0.01 + 0.042
    for metrics in found:
        assert metrics.total_s is not None
        assert metrics.duration_s >= metrics.total_s
