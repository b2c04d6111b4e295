"""The known input: five minutes of the same calls every 15 seconds, and noise that must not count.

Each step the service "shop" makes four chats with llama3.2 (three well, one of them at the second
try, one with a nearly full context; one failing) and two generations with qwen3 (one cold); a fifth
chat stays open. The same service's model "unwanted" and the service "other" are not chosen on the
dashboards: whatever counts them is wrong. Three quarters of an hour before, qwen3 was faster and
llama3.2 was on the GPU.
"""

from __future__ import annotations

from typing import Any

from ollameter.host.readings import CpuUse, GpuUse, ModelMemory, ProcessUse, ServerUse
from ollameter.host.sampling import Probes
from tests.dashboards.application import Application
from tests.host.staged import StagedProbe, memory_use, staged_probes

STEP_S = 15
STEPS = 20
RANGE_S = STEP_S * STEPS
WHILE_AGO_S = 2_700  # 45 minutes
_OLD_STEPS = 5
_S = 1_000_000_000

_LLAMA: dict[str, Any] = {
    "total_duration": 1_800_000_000, "load_duration": 100_000_000, "prompt_eval_count": 40,
    "prompt_eval_duration": 200_000_000, "eval_count": 51, "eval_duration": 1_000_000_000,
}  # fmt: skip
_QWEN: dict[str, Any] = {
    "total_duration": 6_600_000_000, "load_duration": 4_000_000_000, "prompt_eval_count": 200,
    "prompt_eval_duration": 100_000_000, "eval_count": 21, "eval_duration": 1_000_000_000,
}  # fmt: skip
_QWEN_BEFORE: dict[str, Any] = {
    **_QWEN, "total_duration": 1_200_000_000, "load_duration": 5_000_000, "eval_count": 51,
}  # fmt: skip
_NOISE: dict[str, Any] = {
    "total_duration": 60_000_000_000, "load_duration": 11_000_000_000, "prompt_eval_count": 3_000,
    "prompt_eval_duration": 12_000_000_000, "eval_count": 1_401, "eval_duration": 14_000_000_000,
}  # fmt: skip
_LLAMA_ON_GPU = ModelMemory(name="llama3.2", gpu_bytes=2_000, host_bytes=0)
_LLAMA_ON_HOST = ModelMemory(name="llama3.2", gpu_bytes=0, host_bytes=2_000)
_QWEN_ON_BOTH = ModelMemory(name="qwen3", gpu_bytes=3_000, host_bytes=1_000)
_UNWANTED = ModelMemory(name="unwanted", gpu_bytes=50, host_bytes=50)
_LLAMA_ELSEWHERE = ModelMemory(name="llama3.2", gpu_bytes=0, host_bytes=7_000)
_QWEN_ELSEWHERE = ModelMemory(name="qwen3", gpu_bytes=0, host_bytes=9_000)


def machine(busy: float) -> Probes:
    """Return a machine with everything, so busy."""
    probes = staged_probes()
    modes = {"user": busy, "system": busy / 4, "idle": 1 - busy * 1.25}
    probes.cpu = StagedProbe(CpuUse(busy=busy * 1.25, modes=modes))
    probes.memory = StagedProbe(memory_use(used_bytes=round(5_000 * busy)))
    process = ProcessUse(cpu_user=busy / 8, cpu_system=busy / 16, rss_bytes=round(800 * busy), threads=3)
    probes.process = StagedProbe(process)
    server = ServerUse(pids=(7,), rss_bytes=round(600 * busy), threads=1, cpu_utilization=busy / 2)
    probes.ollama = StagedProbe({11434: server})
    gpu = GpuUse(
        id="GPU-1", name="NVIDIA L4", utilization=busy * 1.5, memory_used_bytes=round(12 * busy),
        memory_total_bytes=24, power_w=100 * busy, temperature_c=100 * busy,
    )  # fmt: skip
    probes.gpu = StagedProbe((gpu,))
    return probes


def play(shop: Application, other: Application, now_s: int) -> None:
    """Let both services make their calls, the last exported as of `now_s`."""
    shop.reports(_LLAMA_ON_GPU)
    other.reports(_LLAMA_ELSEWHERE, _QWEN_ELSEWHERE)
    for step in range(_OLD_STEPS + 1):
        if step:
            shop.generates("qwen3", 0.2, 1.1, is_cold=False, **_QWEN_BEFORE)
        shop.exports(now_s - WHILE_AGO_S + step * STEP_S)
    shop.reports(_LLAMA_ON_HOST, _QWEN_ON_BOTH, _UNWANTED)
    for application, model in ((shop, "llama3.2"), (shop, "unwanted"), (other, "llama3.2")):
        application.begins(model)
    for step in range(STEPS + 1):
        if step:
            _step(shop, other)
        for application in (shop, other):
            application.exports(now_s - RANGE_S + step * STEP_S)


def _step(shop: Application, other: Application) -> None:
    for context_length, tried_before in ((95, 0), (800, 0), (800, 1)):
        shop.chats(
            "llama3.2", 0.4, 0.8, 0.8, context_length=context_length, tried_before=tried_before, **_LLAMA
        )  # fmt: skip
    shop.fails("llama3.2", after_s=0.5)
    shop.generates("qwen3", 6.0, 1.0, 1.0, is_cold=True, **_QWEN)
    shop.generates("qwen3", 6.0, 1.0, 1.0, is_cold=False, **_QWEN)
    for application, model in ((shop, "unwanted"), (other, "llama3.2"), (other, "qwen3")):
        _make_noise(application, model)


def _make_noise(application: Application, model: str) -> None:
    """Do everything that is counted, and all of it differently."""
    application.chats(model, 20.0, 25.0, 25.0, context_length=8_000, tried_before=1, **_NOISE)
    application.fails(model, after_s=45.0)
    application.generates(model, 30.0, 40.0, is_cold=True, tried_before=2, **_NOISE)
