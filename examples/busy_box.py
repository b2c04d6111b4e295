"""The same call on an idle and on a loaded machine: what the machine did, and what stood out."""

import os
import subprocess
import sys
import time

from ollameter import OllamaProvider

BURN = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


def ask(llm: OllamaProvider, when: str) -> None:
    options = {"num_predict": 60, "temperature": 0}
    text, metrics = llm.chat([{"role": "user", "content": "Count to twenty in words."}], options=options)
    print(f"--- {when}: {text}")
    print(metrics.host)
    for sentence in metrics.explain():
        print(f"* {sentence}")


def main(model: str) -> None:
    with OllamaProvider(model=model) as llm:
        ask(llm, "first")  # it may have to load the model
        time.sleep(1)
        ask(llm, "idle")
        burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(os.cpu_count() or 1)]
        try:
            ask(llm, "busy")
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()


if __name__ == "__main__":
    main(sys.argv[1])
