"""Ollama's HTTP API as plain data: no sockets, no clocks, no async, no telemetry."""
