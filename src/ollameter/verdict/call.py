"""Rules about the call itself: its end, the server's own durations, tokens, the client's part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ollameter.verdict.words import percent, seconds, tokens

if TYPE_CHECKING:
    from ollameter.metrics import PerformanceMetrics

COLD_LOAD_S = 0.15  # below that a model was there: what `cold_start` rests on, too
LONG_LOAD_S = 0.5
SLOT_WAIT_S = 0.2
SLOW_PROMPT_S = 1.0
OVERHEAD_S = 0.5
SLOW_TOKENS_PER_S = 5.0  # what people read in a second
MANY_TOKENS = 8
NEARLY_FULL = 0.9
MOSTLY = 0.5
NOTABLE = 0.1
CACHED_TOKENS = 64


def failure(m: PerformanceMetrics) -> str | None:
    """Tell how the call ended, unless it completed."""
    after = f"after {seconds(m.duration_s)}"
    came = f" and {m.chunks} chunks" if m.chunks else ""
    match m.outcome:
        case "error":
            return f"failed {after}{came}: {m.error_type or 'the cause is unknown'}"
        case "truncated":
            return f"the answer broke off {after}{came}, before its end: {m.error_type}"
        case "abandoned":
            return f"the reader left {after}{came}: the server's own figures never came"
        case "cancelled":
            return f"was cancelled {after}{came}: the server's own figures never came"
    return None


def retries(m: PerformanceMetrics) -> str | None:
    """Tell that it took more than one attempt."""
    if m.attempts < 2:
        return None
    return f"took {m.attempts} attempts: the others were refused, or answered that the server is busy"


def load(m: PerformanceMetrics) -> str | None:
    """Judge the load: `load_duration` holds the scheduler's queue as well as the loading."""
    if m.load_s is None or m.cold_start is False or m.load_s < COLD_LOAD_S:
        return None
    if m.cold_start:
        return f"loaded the model for {seconds(m.load_s)}: it was not in memory before the call"
    if m.load_s < LONG_LOAD_S or m.load_s < NOTABLE * (m.total_s or m.duration_s):
        return None
    return (
        f"loaded the model for {seconds(m.load_s)}, or waited for the server's scheduler to do so: "
        "a model that is ready takes a fraction of that"
    )


def slot(m: PerformanceMetrics) -> str | None:
    """Judge the wait for a slot: before v0.30 the residual holds other work too."""
    wait_s = m.unattributed_s
    if wait_s is None or not m.total_s or m.load_s is None or m.prompt_eval_s is None:
        return None
    if m.time_to_first_chunk_s is not None:  # by then a slot had been found
        wait_s = min(wait_s, m.time_to_first_chunk_s - m.load_s - m.prompt_eval_s)
    if wait_s < SLOT_WAIT_S or wait_s < NOTABLE * m.total_s:
        return None
    rest = (
        f"{seconds(wait_s)} of {seconds(m.total_s)} on the server were neither loading, prompt nor decoding"
    )
    if m.time_to_first_chunk_s is None and m.prompt_eval_cached_count is None:
        return f"may have waited for a slot, or the server is one before v0.30: {rest}"
    return f"waited for a slot, most likely: {rest}"


def prompt(m: PerformanceMetrics) -> str | None:
    """Judge whether most of the time went into the prompt."""
    spent_s, total_s = m.prompt_eval_s, m.total_s
    if spent_s is None or total_s is None or spent_s < SLOW_PROMPT_S or spent_s < MOSTLY * total_s:
        return None
    spent = f"spent {seconds(spent_s)} of {seconds(total_s)} on the prompt"
    if m.input_tokens is None:
        return spent
    if m.prompt_tokens_per_second is None:
        return f"{spent}: {tokens(m.input_tokens)}, cached ones included"
    new = m.input_tokens - (m.prompt_eval_cached_count or 0)
    return f"{spent}: {tokens(new)} to evaluate at {m.prompt_tokens_per_second:.0f} tok/s"


def decoding(m: PerformanceMetrics) -> str | None:
    """Judge whether tokens came slower than people read."""
    rate = m.tokens_per_second
    if (
        rate is None
        or m.output_tokens is None
        or m.output_tokens < MANY_TOKENS
        or rate >= SLOW_TOKENS_PER_S
    ):
        return None
    return f"decoded slowly: {tokens(m.output_tokens)} at {rate:.1f} tok/s, slower than people read"


def prompt_cut(m: PerformanceMetrics) -> str | None:
    """Tell the suspicion that the server cut the prompt."""
    if not m.prompt_truncated:
        return None
    seen = "" if m.input_tokens is None else f": the server evaluated {tokens(m.input_tokens)} of it"
    length = None if m.model_info is None else m.model_info.context_length
    return f"the prompt was probably truncated{seen}" + (
        "" if length is None else f"{', in' if seen else ':'} a context of {tokens(length)}"
    )


def answer_cut(m: PerformanceMetrics) -> str | None:
    """Tell that the answer has no end of its own."""
    if m.finish_reason != "length":
        return None
    after = "" if m.output_tokens is None else f" after {tokens(m.output_tokens)}"
    return f"the answer was cut off{after}: its limit (num_predict) or the context was reached"


def context(m: PerformanceMetrics) -> str | None:
    """Judge whether the context is nearly full."""
    share = m.context_utilization
    if share is None or share < NEARLY_FULL or m.model_info is None:
        return None
    length = m.model_info.context_length
    return f"the context is {percent(share)} full: {m.total_tokens} of {length} tokens"


def cached(m: PerformanceMetrics) -> str | None:
    """Tell that much of the prompt cost nothing."""
    cached, count = m.prompt_eval_cached_count, m.prompt_eval_count
    if cached is None or count is None or cached < CACHED_TOKENS or not MOSTLY * count <= cached <= count:
        return None
    return f"{cached} of the prompt's {count} tokens came from the server's cache"


def overhead(m: PerformanceMetrics) -> str | None:
    """Judge how much of the time the server knows nothing of."""
    spent_s = m.client_overhead_s
    if spent_s is None or spent_s < OVERHEAD_S or spent_s < NOTABLE * m.duration_s:
        return None
    causes = ["connecting", "the network"]
    causes += ["attempts that failed"] if m.attempts > 1 else []
    causes += ["a slow reader of the stream"] if m.streaming else []
    causes += ["this program"]
    return (
        f"{seconds(spent_s)} of {seconds(m.duration_s)} passed outside of the server: "
        f"{', '.join(causes[:-1])} or {causes[-1]}"
    )
