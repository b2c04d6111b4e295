"""Whether a server has a model: asked before a call when that is wanted, and after it was not found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from ollameter.call import Call, SystemClock
from ollameter.errors import ModelNotFound
from ollameter.messages import Request
from ollameter.providers.deadlines import Guard, Timeouts
from ollameter.providers.exchange import AsyncExchange, Exchange
from ollameter.providers.fetch import fetch, fetch_async
from ollameter.providers.http import HttpSettings
from ollameter.providers.http_sync import RequestsShell
from ollameter.providers.opening import Sent
from ollameter.providers.pulling import PullCall, for_pulling
from ollameter.telemetry.spans import Telemetry
from ollameter.wire.availability import is_remote, near_names, resolved
from ollameter.wire.commands import pull_request
from ollameter.wire.models import model_names
from ollameter.wire.request import encode

if TYPE_CHECKING:  # aiohttp is imported by the first async call
    from ollameter.providers.http_async import AiohttpShell, LoopGuard

Ensure = Literal["check", "pull"]

_ENSURED = {"chat", "text_completion", "embeddings", "load"}
_EXPLAINED_WITHIN_S = 1.0
_BRIEF = Timeouts(connect=_EXPLAINED_WITHIN_S, first_byte=_EXPLAINED_WITHIN_S, idle=_EXPLAINED_WITHIN_S)


class Presence:
    """What one provider knows of the models its server has; nothing of its asking is traced."""

    def __init__(self, settings: HttpSettings, telemetry: Telemetry, ensure: Ensure | None) -> None:
        self._settings = settings
        self._brief = msgspec.structs.replace(settings, timeouts=_BRIEF, retries=0)
        self._telemetry = telemetry
        self._ensure = ensure
        self._known: set[str] = set()

    def require(self, shell: RequestsShell, request: Request, guard: Guard) -> None:
        """See to it that the model of a call is there, if that was asked for and is not known.

        Raises `ModelNotFound`, what a pull raises, or why the server could not be asked.
        """
        if not self._must_ask(request):
            return
        answer = fetch(shell, self._settings, self._telemetry.silent(), _tags(), guard)
        if not self._has(request.model, model_names(answer)):
            pulling = Exchange(*self._pull(request.model), shell, self._settings, self, guard)
            guard.limit(for_pulling(guard.timeouts))
            pulling.open()
            for _ in pulling.chunks:
                pass
            self._known.add(resolved(request.model))
        guard.limit(self._settings.timeouts)

    async def require_async(self, shell: AiohttpShell, request: Request, guard: LoopGuard) -> None:
        """Do as `require` without blocking the event loop."""
        if not self._must_ask(request):
            return
        answer = await fetch_async(shell, self._settings, self._telemetry.silent(), _tags(), guard)
        if not self._has(request.model, model_names(answer)):
            pulling = AsyncExchange(*self._pull(request.model), shell, self._settings, self, guard)
            guard.limit(for_pulling(guard.timeouts))
            await pulling.open()
            async for _ in pulling.chunks:
                pass
            self._known.add(resolved(request.model))
        guard.limit(self._settings.timeouts)

    def explain(self, shell: RequestsShell, error: BaseException, model: str) -> None:
        """Name near models in the error of one that was not found: at most a second, never raising."""
        if not self._must_explain(error, model):
            return
        guard = Guard(_BRIEF)
        guard.ends_at = guard.now() + _EXPLAINED_WITHIN_S
        try:
            answer = fetch(shell, self._brief, self._telemetry.silent(), _tags(), guard)
            _name_near(error, model, model_names(answer))
        except Exception:
            pass  # what is being explained matters more

    async def explain_async(self, shell: AiohttpShell, error: BaseException, model: str) -> None:
        """Do as `explain` without blocking the event loop."""
        if not self._must_explain(error, model):
            return
        guard = shell.guard(_BRIEF)
        guard.ends_at = guard.now() + _EXPLAINED_WITHIN_S
        try:
            answer = await fetch_async(shell, self._brief, self._telemetry.silent(), _tags(), guard)
            _name_near(error, model, model_names(answer))
        except Exception:
            pass  # what is being explained matters more

    def _must_ask(self, request: Request) -> bool:
        return (
            self._ensure is not None
            and request.operation in _ENSURED
            and resolved(request.model) not in self._known
            and not is_remote(request.model)
        )

    def _has(self, model: str, names: list[str]) -> bool:
        """Whether a model is among those listed; raises when it is not, and is not to be pulled."""
        self._known.update(map(resolved, names))
        if resolved(model) in self._known:
            return True
        if self._ensure == "check":
            absent = ModelNotFound(f"model '{model}' not found", status_code=404)
            _name_near(absent, model, names)
            raise absent
        return False

    def _must_explain(self, error: BaseException, model: str) -> bool:
        if not isinstance(error, ModelNotFound):
            return False
        self._known.discard(resolved(model))
        return error.models is None

    def _pull(self, model: str) -> tuple[Call, bytes]:
        request, address = pull_request(model), self._settings.address
        call = PullCall(request, address.connect_host, address.port, clock=SystemClock())
        call.observer = self._telemetry.silent()
        return call, encode(request.body)


def _tags() -> Sent:
    return Sent("GET", "/api/tags", None)


def _name_near(error: BaseException, model: str, names: list[str]) -> None:
    if not isinstance(error, ModelNotFound):
        return
    error.models, error.near_names = tuple(names), near_names(model, names)
    if error.near_names:
        error.args = (f"{error}; did you mean {' or '.join(map(repr, error.near_names))}?",)
