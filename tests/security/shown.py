"""Everything of a failed call that a person, a log or a collector might get to see."""

from __future__ import annotations

import traceback

import pytest

from ollameter.providers.http import causes
from ollameter.testing import CapturedTelemetry


def shown(error: BaseException, captured: CapturedTelemetry, caplog: pytest.LogCaptureFixture) -> str:
    """Return the error as printed, everything it was raised from, what was exported, and the log."""
    chain = [text for cause in causes(error) for text in (str(cause), repr(cause))]
    printed = "".join(traceback.format_exception(error))
    return "\n".join([printed, *chain, exported(captured), caplog.text])


def exported(captured: CapturedTelemetry) -> str:
    """Return all spans, metrics and logs as text."""
    return repr((captured.spans, captured.metrics, captured.logs))
