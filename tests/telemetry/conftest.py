"""Each test starts with nothing said yet and none of the settings of the machine it runs on."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from ollameter.telemetry import content, delivery, guard
from ollameter.telemetry.arrival import Arrival
from tests.telemetry.collector import LOGGER
from tests.telemetry.programs import Sink


@pytest.fixture(autouse=True)
def _nothing_said_or_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_told", set())
    monkeypatch.setattr(content, "_warned", set())
    for name in list(os.environ):
        if name.startswith(("OTEL_", "OLLAMETER_")):
            monkeypatch.delenv(name)


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A receiver on a free port."""
    opened = Sink()
    yield opened
    opened.close()


@pytest.fixture
def arrival() -> Iterator[Arrival]:
    """Arrival at a collector; the SDK's loggers are given back after the test."""
    logging.getLogger(LOGGER)
    known = {name: logging.getLogger(name).filters[:] for name in list(logging.root.manager.loggerDict)}
    made = Arrival("http://collector")
    made.quiet_the_sdk()
    yield made
    for name, filters in known.items():
        logging.getLogger(name).filters[:] = filters


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_PAUSE_S", 0.005)
