"""What the machine is doing: /proc, psutil and NVML; knows nothing of OpenTelemetry."""
