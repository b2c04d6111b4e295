"""Dashboards drawn without Grafana: from their JSON, by asking Prometheus what it says."""
