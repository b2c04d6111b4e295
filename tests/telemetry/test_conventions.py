"""Our names, units, instruments, types and buckets are those of the conventions, v1.41.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ollameter import ModelNotFound, OllamaProvider
from ollameter.telemetry import names
from ollameter.testing import CapturedTelemetry, FakeOllama, chat_lines
from ollameter.testing.answers import Answer
from tests.providers.calls import MESSAGES

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "semconv-1.41.1.json").read_text())
OURS = ("ollama.", "ollameter.")
PYTHON_TYPES = {
    "string": str, "int": int, "double": float, "boolean": bool, "string[]": tuple, "enum": str,
}  # fmt: skip
KINDS = {"histogram": "Histogram", "counter": "Sum", "updowncounter": "Sum", "gauge": "Gauge"}

# Resource attributes of the conventions' process group, which the copied facts leave out.
NOT_IN_THE_FACTS = (
    "process.pid", "process.executable.name", "process.runtime.name", "process.runtime.version",
)  # fmt: skip

EVERYTHING = {
    "temperature": 0, "top_p": 0.5, "top_k": 7, "seed": 3, "num_predict": 9, "stop": ["x"],
    "frequency_penalty": 1, "presence_penalty": 1, "num_ctx": 512,
}  # fmt: skip


def test_every_name_that_is_not_ours_is_defined_there_and_not_deprecated() -> None:
    """Only `ollama.*` and `ollameter.*` are coined here."""
    known = {**FACTS["attributes"], **FACTS["metrics"], **FACTS["events"]}
    constants = {k: v for k, v in vars(names).items() if k.isupper() and isinstance(v, str)}
    ours = [v for v in constants.values() if "." in v and "/" not in v]
    elsewhere = (names.GENAI_CONTEXT_KEY, *NOT_IN_THE_FACTS)
    theirs = [v for v in ours if not v.startswith(OURS) and v not in elsewhere]

    assert len(theirs) > 40
    assert [name for name in theirs if name not in known] == []
    assert [name for name in theirs if known[name].get("deprecated")] == []
    assert FACTS["schema_url"] == names.SCHEMA_URL


def test_every_metric_is_declared_as_the_conventions_have_it() -> None:
    """Instrument, unit and buckets of what is theirs; what is ours follows the same rules."""
    for name, metric in names.METRICS.items():
        if name in FACTS["metrics"]:
            facts = FACTS["metrics"][name]
            declared = (metric.kind, metric.unit, list(metric.buckets or ()))
            assert declared == (facts["instrument"], facts["unit"], facts.get("buckets", [])), name
        else:
            assert name.startswith(OURS), name
        assert (metric.buckets is not None) == (metric.kind == "histogram"), name
        assert list(metric.buckets or ()) == sorted(set(metric.buckets or ())), name


def test_our_own_metrics_are_declared_as_documented() -> None:
    """Instruments, units and buckets of `ollama.*`, written out once more."""
    short = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    long = [*short, 163.84, 327.68, 655.36]
    rates = [1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 400]
    tenths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    ours = {
        n: (m.kind, m.unit, list(m.buckets or ())) for n, m in names.METRICS.items() if n.startswith(OURS)
    }

    assert ours == {
        "ollama.request.duration": ("histogram", "s", long),
        "ollama.load.duration": ("histogram", "s", long),
        "ollama.prompt_eval.duration": ("histogram", "s", long),
        "ollama.eval.duration": ("histogram", "s", long),
        "ollama.unattributed.duration": ("histogram", "s", long),
        "ollama.eval.throughput": ("histogram", "{token}/s", rates),
        "ollama.context.utilization": ("histogram", "1", tenths),
        "ollama.client.active_requests": ("updowncounter", "{request}", []),
        "ollama.client.cold_starts": ("counter", "{start}", []),
        "ollama.client.retries": ("counter", "{retry}", []),
    }


@pytest.fixture
def observed(
    fake: FakeOllama, captured: CapturedTelemetry, monkeypatch: pytest.MonkeyPatch
) -> CapturedTelemetry:
    """Telemetry of a stream with every setting and every opt-in metric, and of a failed call."""
    monkeypatch.setenv("OLLAMETER_SERVER_METRICS", "true")
    fake.script("/api/chat", Answer(lines=chat_lines("a", "b", eval_count=5)))
    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as llm:
        with llm.stream(MESSAGES, options=EVERYTHING, format="json") as stream:
            list(stream)
        with pytest.raises(ModelNotFound):
            llm.chat(MESSAGES, model="absent")
    return captured


def test_every_attribute_has_the_type_of_the_conventions(observed: CapturedTelemetry) -> None:
    """A `top_k` of 7 is a double, a `seed` an int."""
    span = observed.spans[0]
    theirs = {k: v for k, v in span.attributes.items() if not k.startswith(OURS)}

    wrong = {
        name: value
        for name, value in theirs.items()
        if type(value) is not PYTHON_TYPES[FACTS["attributes"][name]["type"]]
    }
    assert wrong == {}
    assert {"gen_ai.request.top_k", "gen_ai.output.type", "gen_ai.request.seed"} <= theirs.keys()


def test_every_attribute_of_a_span_belongs_to_its_kind(observed: CapturedTelemetry) -> None:
    """The conventions list what a GenAI client span may carry; its name and kind are theirs too."""
    facts = FACTS["spans"]["gen_ai.inference.client"]
    for span in observed.spans:
        theirs = {name for name in span.attributes if not name.startswith(OURS)}
        assert theirs <= facts["attributes"].keys()
        required = {name for name, level in facts["attributes"].items() if level == "required"}
        assert required <= theirs
        assert span.kind == "CLIENT"
    assert [span.name for span in observed.spans] == ["chat llama3.2", "chat absent"]


def test_every_metric_has_the_unit_instrument_and_buckets_of_the_conventions(
    observed: CapturedTelemetry,
) -> None:
    """And only attributes that the conventions list for it."""
    theirs = {name: m for name, m in observed.metrics.items() if not name.startswith(OURS)}
    assert sorted(theirs) == [
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.time_to_first_token",
    ]
    for name, metric in theirs.items():
        facts = FACTS["metrics"][name]
        assert (metric.unit, metric.kind) == (facts["unit"], KINDS[facts["instrument"]]), name
        for point in metric.points:
            assert list(point.bounds) == facts["buckets"], name
            assert point.attributes.keys() <= facts["attributes"].keys(), name
            required = {k for k, level in facts["attributes"].items() if level == "required"}
            assert required <= point.attributes.keys(), name
            assert len(point.attributes.keys() - {"error.type"}) <= 5, name


def test_our_own_metrics_are_named_and_measured_as_documented(observed: CapturedTelemetry) -> None:
    """Names, units, kinds and buckets of `ollama.*`."""
    long = tuple(round(0.01 * 2**i, 2) for i in range(17))
    ours = {n: m for n, m in observed.metrics.items() if n.startswith(OURS)}

    assert {name: (m.unit, m.kind, m.points[0].bounds) for name, m in ours.items()} == {
        **{
            f"ollama.{phase}.duration": ("s", "Histogram", long)
            for phase in ("request", "load", "prompt_eval", "eval", "unattributed")
        },
        "ollama.eval.throughput": (
            "{token}/s", "Histogram", (1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 400)),
        "ollama.client.active_requests": ("{request}", "Sum", ()),
    }  # fmt: skip
    keys = {"gen_ai.operation.name", "gen_ai.request.model", "server.address", "server.port"}
    assert all(point.attributes.keys() == keys for m in ours.values() for point in m.points)
