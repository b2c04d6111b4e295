"""With opentelemetry-api alone everything works: nothing is exported, metrics are returned."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from ollameter.testing import FakeOllama

NO_SDK = """
    import sys
    class NoSdk:
        def find_spec(self, name, path=None, target=None):
            if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, NoSdk())
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in which the SDK cannot be imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(NO_SDK + script), *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=kept,
    )  # fmt: skip


def test_calls_are_made_and_measured(fake: FakeOllama) -> None:
    """Content capture, phase spans and all: no-ops, without a warning."""
    script = """
    from ollameter import OllamaProvider
    settings = dict(capture_content=True, phase_spans=True, suppress_http_spans=True)
    with OllamaProvider(sys.argv[1], model="llama3.2", **settings) as llm:
        text, metrics = llm.chat([{"role": "user", "content": "x"}])
        print(text, metrics.outcome, len(llm.list_models()) > 0)
    print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
    """
    done = run(script, fake.base_url)

    assert (done.stdout, done.stderr) == ("Hello! completed True\n[]\n", "")
    assert "traceparent" not in fake.requests[0].headers


def test_configure_says_what_to_install() -> None:
    """The extra's name, in an `ImportError`."""
    script = """
    import ollameter
    try:
        ollameter.configure()
    except ImportError as error:
        print(error)
    """
    done = run(script)

    assert (done.stdout, done.stderr) == ('configure() needs the SDK: pip install "ollameter[otlp]"\n', "")
