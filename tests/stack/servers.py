"""The real servers: Ollama, and the collector, Jaeger and Prometheus behind it, on loopback.

Configuration files are the shipped ones: only the variables that they read differ here.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.stack.loopback import fetch_json, status_of
from tests.stack.process import Server
from tests.stack.versions import read_versions

PROMETHEUS_FLAGS = (
    "--web.enable-otlp-receiver",
    "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
)


class RealOllama(Server):
    """`ollama serve` from an installed prefix, with a private copy of its models.

    `models`: the folder to copy, None for the prefix's own; an absent one means no models.
    Weights are linked, so that what a test deletes or pulls never touches the original.
    """

    name = "ollama"
    port_names = ("http",)

    def __init__(
        self,
        prefix: Path,
        *,
        models: Path | None = None,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(folder=folder, env=env)
        self.prefix = prefix
        self.model = read_versions()["model"]["name"]
        self.models_folder = self.folder / "models"
        _lend_models(models or prefix / "models", self.models_folder)
        (self.folder / "home").mkdir(exist_ok=True)

    def command(self) -> list[str]:
        """Return the command line."""
        return [str(self.prefix / "bin" / "ollama"), "serve"]

    def environment(self) -> Mapping[str, str]:
        """Return what puts it on its own ports and into its own folder."""
        return {
            "HOME": str(self.folder / "home"),
            "OLLAMA_HOST": self.address("http"),
            "OLLAMA_MODELS": str(self.models_folder),
            "OLLAMA_NO_CLOUD": "1",
        }

    def is_ready(self) -> bool:
        """Ask it over HTTP."""
        return status_of(f"{self.base_url}/api/version") == 200

    @property
    def base_url(self) -> str:
        """What `OLLAMA_HOST` is set to for a client."""
        return f"http://{self.address('http')}"

    @property
    def version(self) -> str:
        """Ask the server which version it is."""
        return str(fetch_json(f"{self.base_url}/api/version")["version"])


def _lend_models(source: Path, target: Path) -> None:
    if target.exists():
        return
    (target / "blobs").mkdir(parents=True)
    if (source / "manifests").is_dir():
        shutil.copytree(source / "manifests", target / "manifests")
    for blob in (source / "blobs").glob("sha256-*"):
        (target / "blobs" / blob.name).symlink_to(blob)


class Collector(Server):
    """`otelcol` with a shipped file and perhaps an overlay, forwarding to the two back ends."""

    name = "otelcol"
    port_names = ("grpc", "http", "health", "metrics")

    def __init__(
        self,
        prefix: Path,
        configs: Sequence[Path],
        *,
        jaeger_otlp: str,
        prometheus_otlp: str,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(folder=folder, env=env)
        self.prefix = prefix
        self.configs = tuple(configs)
        self.events_file = self.folder / "events.jsonl"
        self._back_ends = {"JAEGER_OTLP": jaeger_otlp, "PROMETHEUS_OTLP": prometheus_otlp}

    def command(self) -> list[str]:
        """Return the command line."""
        options = [f"--config={config.resolve()}" for config in self.configs]
        return [str(self.prefix / "bin" / "otelcol"), *options]

    def environment(self) -> Mapping[str, str]:
        """Return what puts it on its own ports and into its own folder."""
        metrics_host, _, metrics_port = self.metrics_address.rpartition(":")
        return {
            "OTELCOL_GRPC": self.address("grpc"),
            "OTELCOL_HTTP": self.address("http"),
            "OTELCOL_HEALTH": self.address("health"),
            "OTELCOL_METRICS_HOST": metrics_host,
            "OTELCOL_METRICS_PORT": metrics_port,
            "OTELCOL_QUEUE": str(self.folder / "queue"),
            "OTELCOL_EVENTS": str(self.events_file),
            "SPAN_METRICS_FLUSH": "1s",
            **self._back_ends,
        }

    def is_ready(self) -> bool:
        """Ask it over HTTP."""
        return status_of(f"http://{self.address('health')}") == 200

    @property
    def grpc_endpoint(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to for gRPC."""
        return f"http://{self.address('grpc')}"

    @property
    def http_endpoint(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to for HTTP."""
        return f"http://{self.address('http')}"

    @property
    def metrics_address(self) -> str:
        """Where Prometheus scrapes the collector's own metrics."""
        return self.address("metrics")


class Jaeger(Server):
    """`jaeger` with the shipped file; `storage` is `memory` (keeps types) or `badger` (lasts)."""

    name = "jaeger"
    port_names = ("otlp", "query", "query_grpc", "health", "metrics")

    def __init__(
        self,
        prefix: Path,
        config: Path,
        *,
        prometheus_url: str,
        storage: str = "memory",
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(folder=folder, env=env)
        self.prefix = prefix
        self.config = config
        self._settings = {"PROMETHEUS_URL": prometheus_url, "JAEGER_STORAGE": storage}

    def command(self) -> list[str]:
        """Return the command line."""
        return [str(self.prefix / "bin" / "jaeger"), f"--config={self.config.resolve()}"]

    def environment(self) -> Mapping[str, str]:
        """Return what puts it on its own ports and into its own folder."""
        return {
            "JAEGER_GRPC": self.otlp_address,
            "JAEGER_QUERY": self.address("query"),
            "JAEGER_QUERY_GRPC": self.address("query_grpc"),
            "JAEGER_HEALTH": self.address("health"),
            "JAEGER_METRICS_PORT": self.address("metrics").rpartition(":")[2],
            "JAEGER_DATA": str(self.folder / "data"),
            **self._settings,
        }

    def is_ready(self) -> bool:
        """Ask it over HTTP."""
        is_healthy = status_of(f"http://{self.address('health')}/status") == 200
        return is_healthy and status_of(f"{self.query_url}/api/services") == 200

    @property
    def otlp_address(self) -> str:
        """`host:port` for the collector's gRPC exporter."""
        return self.address("otlp")

    @property
    def query_url(self) -> str:
        """Where the query API answers."""
        return f"http://{self.address('query')}"


class Prometheus(Server):
    """`prometheus` with a copy of the shipped file and the rule files beside it."""

    name = "prometheus"
    port_names = ("http",)

    def __init__(
        self,
        prefix: Path,
        config: Path,
        *,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(folder=folder, env=env)
        self.prefix = prefix
        self.config = self.folder / "config" / config.name
        if not self.config.exists():
            shutil.copytree(config.parent, self.config.parent)

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            str(self.prefix / "bin" / "prometheus"),
            f"--config.file={self.config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address('http')}",
            *PROMETHEUS_FLAGS,
        ]

    def is_ready(self) -> bool:
        """Ask it over HTTP."""
        return status_of(f"{self.url}/-/ready") == 200

    def replace_in_config(self, shipped: str, ours: str) -> None:
        """Change the server's copy; a running one reads it again, within seconds."""
        text = self.config.read_text(encoding="utf-8")
        if shipped not in text:
            raise ValueError(f"{self.config.name} does not mention {shipped}")
        self.config.write_text(text.replace(shipped, ours), encoding="utf-8")
        if self.is_running:
            os.kill(self.pid, signal.SIGHUP)

    @property
    def url(self) -> str:
        """Where the HTTP API answers."""
        return f"http://{self.address('http')}"

    @property
    def otlp_url(self) -> str:
        """Where the collector's HTTP exporter pushes; it appends `/v1/metrics`."""
        return f"{self.url}/api/v1/otlp"
