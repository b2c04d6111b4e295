"""What the machine is doing: psutil, /proc and NVML; knows nothing of OpenTelemetry."""
