"""What one call can say of its model: facts, a cold start, a prompt that was cut; no I/O, no waiting."""

from __future__ import annotations

import logging

from ollameter.call import Seen
from ollameter.messages import Final, Request
from ollameter.metrics import NS_PER_S, ModelFacts, PerformanceMetrics, ServerTimings
from ollameter.providers.advice import NEARLY_FULL
from ollameter.providers.model_watch import FRESH_S, IN_USE_S, Known, Look, ModelWatch
from ollameter.wire.loading import LOADED_WITHIN_NS, changed, cold_start, reload_options
from ollameter.wire.prompts import fell, prompt_truncated, turn_of

_log = logging.getLogger("ollameter.models")
_NOTHING = Seen()


class ModelView:
    """One call's view of its model; implements `ollameter.call.ModelView`."""

    __slots__ = (
        "_before", "_is_remarkable", "_known", "_reloading", "_request", "_watch",
        "lacked", "name", "started_s",
    )  # fmt: skip

    def __init__(self, watch: ModelWatch, request: Request) -> None:
        self._watch = watch
        self._request = request
        self._known = watch.known(request.model)
        self._before = watch.latest
        self.name: str = self._known.name
        self.started_s: float = watch.clock()
        self.lacked: Look | None = None
        self._is_remarkable = False
        self._reloading: list[str] = []
        watch.call_began(self)

    def describe(self, final: Final | None) -> Seen:
        """Return what is known at the call's end; everything is None without a `final`."""
        watch, known, now_s = self._watch, self._known, self._watch.clock()
        if final is None:
            known.may_have_loaded_s = now_s
            watch.call_ended(self, now_s, completed=False, is_unclear=False)
            return _NOTHING
        try:
            seen = self._describe(known, final.timings, now_s)
        except Exception as error:  # nothing of this may cost the caller the answer
            _log.warning("a call's model could not be described: %r", error)
            seen = _NOTHING
        facts = seen.model_info
        is_unclear = facts is None or facts.context_length is None or "keep_alive" in self._request.body
        watch.call_ended(self, now_s, completed=True, is_unclear=is_unclear)
        return seen

    def note(self, metrics: PerformanceMetrics) -> None:
        """Say in the log what the numbers warn of."""
        if self._reloading:
            self._watch.advice.reloaded(metrics.model, self._reloading)
        if self._is_remarkable:
            self._watch.advice.judge(metrics)

    def _describe(self, known: Known, timings: ServerTimings, now_s: float) -> Seen:
        load, count = timings.load_duration, timings.prompt_eval_count
        is_cold: bool | None = False
        if load is None or load >= LOADED_WITHIN_NS:
            is_cold = None if load is None else cold_start(load, self._was_listed(load))
            known.may_have_loaded_s = max(known.may_have_loaded_s, _loaded_by_s(timings, now_s))
        facts = self._facts(known, now_s)
        self._compare_options(known, load)
        length = None if facts is None else facts.context_length
        is_cut = self._was_cut(known, count, length)
        if is_cut or length is None:
            self._is_remarkable = bool(is_cut)
        else:
            self._is_remarkable = (count or 0) + (timings.eval_count or 0) >= NEARLY_FULL * length
        return Seen(facts, is_cold, is_cut)

    def _facts(self, known: Known, now_s: float) -> ModelFacts | None:
        """Return what is known of the model, of how it is loaded only what holds for this call."""
        latest = self._watch.latest
        if latest is not None and self.name in latest.loaded:
            at_s = latest.asked_s
            if at_s >= known.may_have_loaded_s and at_s >= self.started_s - FRESH_S:
                return latest.loaded[self.name]
        return known.facts if now_s - known.facts_at_s <= IN_USE_S else None

    def _was_listed(self, load: int) -> bool | None:
        """Return whether the model was in memory before the call; False if it still was not within it."""
        started_s, lacked, before = self.started_s, self.lacked, self._before
        loaded_s = started_s + load / NS_PER_S
        if lacked is not None and lacked.answered_s <= loaded_s:
            return False
        if before is None or started_s - before.asked_s > FRESH_S:
            return None
        return self.name in before.loaded

    def _compare_options(self, known: Known, load: int | None) -> None:
        """Take note of options that made the server load the model again."""
        options = self._request.body.get("options")
        if known.has_answered and options == known.options:
            return
        before, known.options = known.options, options
        if known.has_answered and load is not None and load >= LOADED_WITHIN_NS:
            self._reloading = changed(reload_options(before), reload_options(options))
        known.has_answered = True

    def _was_cut(self, known: Known, count: int | None, length: int | None) -> bool | None:
        body, before = self._request.body, known.turn
        is_cut = prompt_truncated(body, count, length)
        turn = turn_of(body, count)
        if turn is not None:
            known.turn = turn
            if not is_cut and before is not None and fell(before, turn, body):
                return True
        return is_cut


def _loaded_by_s(timings: ServerTimings, now_s: float) -> float:
    """Return when the model of a call that ends now had certainly been loaded."""
    load, total = timings.load_duration, timings.total_duration
    return now_s if load is None or total is None else now_s - (total - load) / NS_PER_S
