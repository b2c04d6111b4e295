"""What Grafana is provisioned with agrees with the dashboards and with compose."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from boards.links import JAEGER_UID
from boards.variables import PROMETHEUS_UID
from tests.dashboards.shipped import FILES, GRAFANA, read

PROVISIONING = GRAFANA / "provisioning"
COMPOSE = GRAFANA.parent / "compose.yaml"


def provisioned(kind: str) -> Any:
    """Return a provisioning file."""
    return yaml.safe_load((PROVISIONING / kind / "ollameter.yaml").read_text(encoding="utf-8"))


def datasources() -> dict[str, Any]:
    """Return the datasources by their uid."""
    return {source["uid"]: source for source in provisioned("datasources")["datasources"]}


def test_datasources_have_the_uids_that_are_referred_to() -> None:
    """Exemplars lead to Jaeger, traces lead back, variables start with Prometheus."""
    found = datasources()

    assert {uid: source["type"] for uid, source in found.items()} == {
        PROMETHEUS_UID: "prometheus",
        JAEGER_UID: "jaeger",
    }
    exemplars = found[PROMETHEUS_UID]["jsonData"]["exemplarTraceIdDestinations"]
    assert [(each["name"], each["datasourceUid"]) for each in exemplars] == [("trace_id", JAEGER_UID)]
    assert found[JAEGER_UID]["jsonData"]["tracesToMetrics"]["datasourceUid"] == PROMETHEUS_UID
    for file in FILES:
        assert read(file)["templating"]["list"][0]["current"]["value"] == PROMETHEUS_UID


def test_queries_behind_traces_are_written_as_grafana_reads_them() -> None:
    """A dollar is doubled, or provisioning takes it for a variable of the environment."""
    text = (PROVISIONING / "datasources" / "ollameter.yaml").read_text(encoding="utf-8")

    assert text.count("$$__tags") == 2
    assert "$" not in text.replace("$$__tags", "").replace("`$`", "")


def test_errors_lead_to_their_traces() -> None:
    """A row's link is a search in Jaeger with that row's service and error."""
    table = next(
        panel
        for panel in read(GRAFANA / "dashboards" / "errors.json")["panels"]
        if panel["type"] == "table"
    )
    (override,) = table["fieldConfig"]["overrides"]
    (link,) = next(each["value"] for each in override["properties"] if each["id"] == "links")
    url = urlsplit(link["url"])
    pane = json.loads(unquote(url.query.partition("panes=")[2]))["a"]

    assert (url.path, url.query.partition("&")[0]) == ("/explore", "schemaVersion=1")
    assert pane["datasource"] == JAEGER_UID
    (query,) = pane["queries"]
    assert query["queryType"] == "search"
    assert query["service"] == "${__data.fields.Service}"
    assert query["tags"] == "error.type=${__data.fields.Error}"
    titles = table["transformations"][1]["options"]["renameByName"].values()
    assert {"Service", "Error"} <= set(titles)


def test_compose_puts_files_where_grafana_is_told_to_look() -> None:
    """The folder with the dashboards, and the addresses of the datasources."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    mounted = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    (provider,) = provisioned("dashboards")["providers"]

    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
    for source in datasources().values():
        assert urlsplit(source["url"]).hostname in services
