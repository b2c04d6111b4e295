"""What asks a server about itself and its models, each method next to its async twin."""

from __future__ import annotations

from typing import Any

from ollameter.errors import OllameterError
from ollameter.providers.core import ServerCalls
from ollameter.telemetry import names
from ollameter.wire.availability import Availability, availability
from ollameter.wire.models import (
    ModelDetails,
    ModelInfo,
    RunningModel,
    listed_models,
    model_details,
    model_names,
    running_models,
    version_text,
)
from ollameter.wire.request import model_name


class Models(ServerCalls):
    """Questions with one object as their answer; none of them is a GenAI operation."""

    def list_models(self) -> list[str]:
        """Return the names of the server's models, newest first."""
        return model_names(self._ask(names.LIST_MODELS, "/api/tags"))

    async def list_models_async(self) -> list[str]:
        """Do as `list_models` without blocking the event loop."""
        return model_names(await self._ask_async(names.LIST_MODELS, "/api/tags"))

    def models(self) -> list[ModelInfo]:
        """Return what the server says of each of its models, newest first."""
        return self._listed(self._ask(names.LIST_MODELS, "/api/tags"))

    async def models_async(self) -> list[ModelInfo]:
        """Do as `models` without blocking the event loop."""
        return self._listed(await self._ask_async(names.LIST_MODELS, "/api/tags"))

    def running(self) -> list[RunningModel]:
        """Return the models that are in memory now."""
        asked_s = self._models.clock()
        return self._running(self._ask(names.LIST_RUNNING, "/api/ps"), asked_s)

    async def running_async(self) -> list[RunningModel]:
        """Do as `running` without blocking the event loop."""
        asked_s = self._models.clock()
        return self._running(await self._ask_async(names.LIST_RUNNING, "/api/ps"), asked_s)

    def show(self, model: str | None = None, *, verbose: bool = False) -> ModelDetails:
        """Return everything about a model, or about the provider's own when none is given.

        `verbose` adds what is long: tokens, merges, tensors. Raises `ModelNotFound` for one the
        server lacks.
        """
        question = self._about(model, verbose)
        return model_details(self._ask(names.SHOW_MODEL, "/api/show", question))

    async def show_async(self, model: str | None = None, *, verbose: bool = False) -> ModelDetails:
        """Do as `show` without blocking the event loop."""
        question = self._about(model, verbose)
        return model_details(await self._ask_async(names.SHOW_MODEL, "/api/show", question))

    def version(self) -> str:
        """Return the server's version; a plain source build says 0.0.0."""
        return version_text(self._ask(names.GET_VERSION, "/api/version"))

    async def version_async(self) -> str:
        """Do as `version` without blocking the event loop."""
        return version_text(await self._ask_async(names.GET_VERSION, "/api/version"))

    def is_available(self, model: str | None = None) -> Availability:
        """Say whether the server, and a model on it, can be called; false comes with the reason.

        Asks about the provider's own model when none is given. Never raises for a server that is
        absent, slow or broken, and opens no span.
        """
        model = self._model if model is None else model
        try:
            return availability(model_names(self._ask(None, "/api/tags")), model)
        except OllameterError as error:
            return _unavailable(error, model)

    async def is_available_async(self, model: str | None = None) -> Availability:
        """Do as `is_available` without blocking the event loop."""
        model = self._model if model is None else model
        try:
            return availability(model_names(await self._ask_async(None, "/api/tags")), model)
        except OllameterError as error:
            return _unavailable(error, model)

    def _listed(self, answer: dict[str, Any]) -> list[ModelInfo]:
        models = listed_models(answer)
        self._models.saw_listed(models)
        return models

    def _running(self, answer: dict[str, Any], asked_s: float) -> list[RunningModel]:
        models = running_models(answer)
        self._models.saw_running(models, asked_s)
        return models

    def _about(self, model: str | None, verbose: bool) -> dict[str, Any]:
        return {"model": model_name(model, self._model)} | ({"verbose": True} if verbose else {})


def _unavailable(error: OllameterError, model: str | None) -> Availability:
    return Availability(available=False, reason=str(error), model=model)
