"""The compose files: valid by their schema, closed to the network, of the versions that are tested."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.stack.backend import COLLECTOR_FILE, JAEGER_FILE, PROMETHEUS_FILE, SHIPPED
from tests.stack.servers import PROMETHEUS_FLAGS
from tests.stack.versions import read_versions

COMPOSE_FILE = SHIPPED / "compose.yaml"
TEMPO_FILE = SHIPPED / "tempo" / "compose.yaml"
FILES = [COMPOSE_FILE, TEMPO_FILE]
# Who the servers are in their images: a fresh volume belongs to root.
OWNERS = {
    "collector": "10001:10001",
    "jaeger": "10001:10001",
    "prometheus": "65534:65534",
    "grafana": "472:0",
}


def services(path: Path = COMPOSE_FILE) -> Mapping[str, Any]:
    """Return the services of a compose file."""
    found: Mapping[str, Any] = yaml.safe_load(path.read_text())["services"]
    return found


def each_of(path: Path, key: str) -> Iterator[str]:
    """Return all services' entries of a list: ports, volumes."""
    for service in services(path).values():
        yield from service.get(key, ())


def variables_of(path: Path) -> set[str]:
    """Return the names of the variables that a configuration file reads."""
    return set(re.findall(r"\$\{env:(\w+)", path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=["compose", "tempo"])
def test_a_compose_file_fits_the_schema(path: Path, compose_schema: Path) -> None:
    """The schema that docker compose itself reads."""
    schema = json.loads(compose_schema.read_text())
    Draft202012Validator.check_schema(schema)

    faults = Draft202012Validator(schema).iter_errors(yaml.safe_load(path.read_text()))
    assert [f"{fault.json_path}: {fault.message}" for fault in faults] == []


def test_the_schema_check_can_fail(compose_schema: Path) -> None:
    """A misspelt key is found."""
    content = yaml.safe_load(COMPOSE_FILE.read_text())
    content["services"]["jaeger"]["port"] = content["services"]["jaeger"].pop("ports")

    assert not Draft202012Validator(json.loads(compose_schema.read_text())).is_valid(content)


@pytest.mark.parametrize("path", FILES, ids=["compose", "tempo"])
def test_nothing_is_published_beyond_this_machine(path: Path) -> None:
    """Docker opens ports past firewalls, and nothing here asks for a password."""
    ports = list(each_of(path, "ports"))

    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)
    assert not any("network_mode" in service for service in services(path).values())


def test_the_images_are_the_versions_that_are_tested() -> None:
    """One file says which, for compose and for what the tests build."""
    versions = read_versions()
    images = {
        "volumes": "busybox", "otel-collector": "collector", "jaeger": "jaeger",
        "prometheus": "prometheus", "grafana": "grafana", "tempo": "tempo",
    }  # fmt: skip
    used = {name: service["image"] for name, service in services().items()}
    used["tempo"] = services(TEMPO_FILE)["tempo"]["image"]

    assert used == {name: versions[table]["image"] for name, table in images.items()}
    assert versions["collector"]["image"].endswith(f":{versions['collector']['version']}")


@pytest.mark.parametrize("path", FILES, ids=["compose", "tempo"])
def test_what_is_mounted_exists(path: Path) -> None:
    """Docker would make an empty folder of an absent file; a volume has to be declared."""
    declared = yaml.safe_load(path.read_text())["volumes"].keys()
    for mount in each_of(path, "volumes"):
        source = mount.split(":")[0]
        if source.startswith("."):
            assert (SHIPPED / source).exists(), mount
            assert mount.endswith(":ro")
        else:
            assert source in declared, mount


@pytest.mark.parametrize(
    ("path", "owners"),
    [(COMPOSE_FILE, OWNERS), (TEMPO_FILE, {**OWNERS, "tempo": "10001:10001"})],
    ids=["compose", "tempo"],
)
def test_volumes_belong_to_who_writes_them(path: Path, owners: Mapping[str, str]) -> None:
    """Every server that keeps something waits until its volume is its own."""
    told = " ".join(services(path)["volumes"]["command"])
    both = {**services(path), **services()}

    for volume, owner in owners.items():
        assert re.search(rf"chown -R {owner}[^&]* /{volume}\b", told), volume
    for name in both.keys() - {"volumes"}:
        assert both[name]["depends_on"]["volumes"] == {"condition": "service_completed_successfully"}
    given = {
        volume.split(":")[0]
        for file in {COMPOSE_FILE, path}
        for volume in services(file)["volumes"]["volumes"]
    }
    assert given == set(owners)


@pytest.mark.parametrize(
    ("service", "files"),
    [
        ("otel-collector", [COLLECTOR_FILE]),
        ("jaeger", [JAEGER_FILE]),
    ],
)
def test_what_is_set_is_read(service: str, files: list[Path]) -> None:
    """A variable that no file reads would quietly change nothing."""
    environment = services()[service]["environment"].keys() - {"GOMEMLIMIT"}

    assert environment
    assert environment <= set().union(*map(variables_of, files))


def test_the_servers_find_each_other() -> None:
    """Every address names a service, at the port that it listens on."""
    ours = services()
    collector, jaeger = ours["otel-collector"]["environment"], ours["jaeger"]["environment"]
    scraped = yaml.safe_load(PROMETHEUS_FILE.read_text())["scrape_configs"][0]["static_configs"]

    assert collector["JAEGER_OTLP"] == f"jaeger:{jaeger['JAEGER_GRPC'].rpartition(':')[2]}"
    assert collector["PROMETHEUS_OTLP"] == "http://prometheus:9090/api/v1/otlp"
    assert jaeger["PROMETHEUS_URL"] == "http://prometheus:9090"
    assert scraped == [{"targets": ["otel-collector:8888"]}]


def test_prometheus_runs_with_the_flags_that_are_tested() -> None:
    """Without them it takes no OTLP and keeps no exemplars."""
    command = services()["prometheus"]["command"]

    assert command[-len(PROMETHEUS_FLAGS) :] == list(PROMETHEUS_FLAGS)
    assert command[0] == "--config.file=/etc/prometheus/prometheus.yml"
