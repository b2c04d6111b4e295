"""What the machine does, as gauges: print them once, after the monitor has seen a whole second."""

import sys
import time

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from ollameter import OllamaProvider


def main(model: str) -> None:
    reader = InMemoryMetricReader()
    with OllamaProvider(model=model, meter_provider=MeterProvider([reader])) as llm:
        print(llm.chat([{"role": "user", "content": "Say hello."}], options={"num_predict": 16}).text)
        time.sleep(2.5)
        collected = reader.get_metrics_data()
    for resource in collected.resource_metrics if collected else ():
        for metric in resource.scope_metrics[0].metrics:
            if metric.name.startswith(("system.", "process.", "ollama.server.", "hw.")):
                for point in metric.data.data_points:
                    value = getattr(point, "value", 0)
                    print(f"{metric.name} {dict(point.attributes or {})} = {value:.3f} {metric.unit}")


if __name__ == "__main__":
    main(sys.argv[1])
