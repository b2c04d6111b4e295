"""The report of a benchmark, looked at in a real browser: pictures drawn, nothing fetched, no error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ollameter.cli.bench.record import Run
from ollameter.cli.bench.report import report, write_report
from ollameter.cli.bench.summary import compare_models, summaries
from tests.cli.bench.made_up import call, run_of, steady
from tests.cli.browser import Browser, browser  # noqa: F401  # a fixture, used by its name

PICTURES = 5


def a_run() -> Run:
    """Return a run with everything in it: two models, two levels, a cold start, a failure."""
    crowd = [call(40 + i, concurrency=4, speed=20) for i in range(8)]
    return run_of(
        call(0, cold=True), *steady(), *crowd, *steady(model="o<t>her", speed=30), call(99, failed=True)
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The report as a file."""
    run, path = a_run(), tmp_path / "report.html"
    write_report(path, run, summaries(run), compare_models(run))
    return path


@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0",)])
def test_every_picture_is_drawn_without_an_error(
    page: Path,
    browser: Browser,  # noqa: F811  # the fixture
    flags: tuple[str, ...],
) -> None:
    """In light and in dark; the console stays silent."""
    elements, console = browser.open(page, *flags)

    assert console == []
    assert len(re.findall(r'<div class="plot js-plotly-plot"', elements)) == PICTURES
    drawn = elements.split('<div class="plot js-plotly-plot"')[1:]
    marks = [len(re.findall(r'<path[^>]* d="M', part)) for part in drawn]
    assert all(count >= 2 for count in marks), marks


def test_the_page_needs_no_network(page: Path) -> None:
    """No script, style, picture or font is fetched from anywhere."""
    text = page.read_text()
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)

    assert re.findall(r'(?:src|href)\s*=\s*"(?!data:)', markup) == []
    assert "@import" not in markup


def test_the_tables_have_everything_without_a_script() -> None:
    """Each group and each call has a row; what came from outside is escaped; a comparison is told."""
    run = a_run()
    text = report(run, summaries(run), compare_models(run))
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)

    assert markup.count("<tr><td>") == len(summaries(run)) + len(run.calls)
    assert "o&lt;t&gt;her" in markup
    assert "o<t>her" not in markup
    assert "A &lt;fast&gt; one" in markup
    assert "against m, 1 at once: slower" in markup


def test_a_run_without_calls_has_a_page_as_well() -> None:
    """With empty pictures."""
    run = run_of()

    assert "<h1>ollameter bench</h1>" in report(run, summaries(run), [])
