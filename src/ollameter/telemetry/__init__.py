"""Spans, metrics and events of a call: the only room that imports OpenTelemetry."""
