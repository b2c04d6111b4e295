"""Every shipped configuration file is valid by the word of the program that reads it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from tests.stack.backend import COLLECTOR_FILE, JAEGER_FILE, PROMETHEUS_FILE, SHIPPED
from tests.stack.test_compose import services

RULES = [SHIPPED / "prometheus" / name for name in ("recording.yml", "alerts.yml")]
RULES_TEST = SHIPPED / "prometheus" / "rules_test.yml"
OVERLAYS = [
    None,
    *(SHIPPED / name for name in ("gateway/agent.yaml", "gateway/gateway.yaml", "tempo/collector.yaml")),
]


def said(*command: str | Path, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a check; return its exit code and what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "JAEGER_"))}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True, text=True, timeout=60, check=False, env={**clean, **(env or {})},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def collector_says(
    prefix: Path, files: Sequence[Path], env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Validate these files together."""
    return said(prefix / "bin" / "otelcol", "validate", *(f"--config={file}" for file in files), env=env)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.parent.name if path else "alone")
def test_the_collector_accepts_its_files(collector_prefix: Path, overlay: Path | None) -> None:
    """Each overlay on top of the one for a single machine."""
    files = [COLLECTOR_FILE, *([overlay] if overlay else [])]

    assert collector_says(collector_prefix, files) == (0, "")


def test_the_files_are_accepted_with_the_settings_of_compose(
    collector_prefix: Path, jaeger_prefix: Path
) -> None:
    """The addresses differ, nothing else."""
    ours = services()
    jaeger = jaeger_prefix / "bin" / "jaeger"

    for file in (COLLECTOR_FILE, SHIPPED / "tempo" / "collector.yaml"):
        files = list(dict.fromkeys([COLLECTOR_FILE, file]))
        assert collector_says(collector_prefix, files, ours["otel-collector"]["environment"]) == (0, "")
    code, output = said(jaeger, "validate", f"--config={JAEGER_FILE}", env=ours["jaeger"]["environment"])
    assert code == 0, output


def test_the_collector_rejects_a_misspelt_key(collector_prefix: Path, tmp_path: Path) -> None:
    """The check can fail."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("exporters: {otlp_grpc/jaeger: {sending_queu: {}}}")

    code, output = collector_says(collector_prefix, [COLLECTOR_FILE, wrong])

    assert code != 0
    assert "sending_queu" in output


def test_jaeger_accepts_its_file(jaeger_prefix: Path) -> None:
    """By its own word, for either storage."""
    jaeger = jaeger_prefix / "bin" / "jaeger"
    for storage in ("badger", "memory"):
        env = {"JAEGER_STORAGE": storage}
        code, output = said(jaeger, "validate", f"--config={JAEGER_FILE}", env=env)
        assert code == 0, output


def test_prometheus_accepts_its_files(prometheus_prefix: Path) -> None:
    """The configuration, with the rules that it names, and the rules by themselves, linted."""
    promtool = prometheus_prefix / "bin" / "promtool"

    code, output = said(promtool, "check", "config", "--lint=all", "--lint-fatal", PROMETHEUS_FILE)
    assert code == 0, output
    code, output = said(promtool, "check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert code == 0, output
    named = yaml.safe_load(PROMETHEUS_FILE.read_text())["rule_files"]
    assert named == [path.name for path in RULES]


def test_the_rules_pass_their_own_tests(prometheus_prefix: Path) -> None:
    """`promtool test rules`: which series raise which alert, and which do not."""
    code, output = said(prometheus_prefix / "bin" / "promtool", "test", "rules", RULES_TEST)

    assert code == 0, output


def test_every_alert_and_recording_rule_is_tested() -> None:
    """Each alert fires in one test and is silent in another; each recorded series is used or tested."""
    rules = [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    text = RULES_TEST.read_text()
    cases = [case for test in yaml.safe_load(text)["tests"] for case in test.get("alert_rule_test", ())]
    alerts = {rule["alert"] for rule in rules if "alert" in rule}

    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts - {
        "OllamaSlowFirstChunk"
    }
    used = text + " ".join(rule["expr"] for rule in rules)
    untested = [rule["record"] for rule in rules if "record" in rule and rule["record"] not in used]
    assert untested == []
