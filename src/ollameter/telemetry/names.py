"""Every name, unit and bucket that is exported, and nothing else; the conventions are v1.41.1."""

from __future__ import annotations

from typing import Literal, NamedTuple

SCOPE = "ollameter"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.1"
PROVIDER = "ollama"

# Spans of what is no GenAI operation.
LIST_MODELS = "ollama.list_models"
SHOW_MODEL = "ollama.show_model"
LIST_RUNNING = "ollama.list_running"
PULL_MODEL = "ollama.pull_model"
LOAD_MODEL = "ollama.load_model"
UNLOAD_MODEL = "ollama.unload_model"
GET_VERSION = "ollama.get_version"

PHASE_LOAD = "ollama.phase.load"
PHASE_QUEUE = "ollama.phase.queue"
PHASE_PROMPT_EVAL = "ollama.phase.prompt_eval"
PHASE_EVAL = "ollama.phase.eval"

# Attributes known at the start.
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
OUTPUT_TYPE = "gen_ai.output.type"
EMBEDDINGS_DIMENSION_COUNT = "gen_ai.embeddings.dimension.count"
OLLAMA_REQUEST_NUM_CTX = "ollama.request.num_ctx"
OLLAMA_REQUEST_KEEP_ALIVE = "ollama.request.keep_alive"
OLLAMA_REQUEST_THINK = "ollama.request.think"

# Attributes known at the end.
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
OLLAMA_COLD_START = "ollama.cold_start"
OLLAMA_PROMPT_TRUNCATED = "ollama.prompt.truncation_suspected"
OLLAMA_STREAM_CHUNKS = "ollama.stream.chunks"
OLLAMA_MODEL_DIGEST = "ollama.model.digest"
OLLAMA_MODEL_QUANTIZATION = "ollama.model.quantization"
OLLAMA_MODEL_PARAMETER_SIZE = "ollama.model.parameter_size"
OLLAMA_MODEL_FAMILY = "ollama.model.family"
OLLAMA_MODEL_CONTEXT_LENGTH = "ollama.model.context_length"
OLLAMA_MODEL_VRAM_SHARE = "ollama.model.vram_share"
OUTCOME = "ollameter.outcome"
RECONSTRUCTED = "ollameter.reconstructed"
HOST_CPU = "ollameter.host.cpu.utilization"
HOST_CPU_PEAK = "ollameter.host.cpu.utilization.peak"
HOST_MEMORY = "ollameter.host.memory.usage"
HOST_MEMORY_PEAK = "ollameter.host.memory.usage.peak"
HOST_OLLAMA_CPU = "ollameter.host.ollama.cpu.utilization"
HOST_SAMPLES = "ollameter.host.samples"
ERROR_TYPE = "error.type"

# An event for each attempt after the first, on the span of the call.
RETRY_EVENT = "ollameter.retry"
RETRY_DELAY = "ollameter.retry.delay"

# Content, opt-in.
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
NOT_ON_THE_EVENT = (PROVIDER_NAME, REQUEST_TOP_K)  # the conventions list them for spans alone

# Metrics of calls; those that span attributes share stand here once.
OPERATION_DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  # a metric's name, no secret
TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
TIME_PER_OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
SERVER_REQUEST_DURATION = "gen_ai.server.request.duration"
SERVER_TIME_TO_FIRST_TOKEN = "gen_ai.server.time_to_first_token"  # noqa: S105  # a metric's name
SERVER_TIME_PER_OUTPUT_TOKEN = "gen_ai.server.time_per_output_token"  # noqa: S105  # likewise
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # an attribute's name
REQUEST_DURATION = "ollama.request.duration"
LOAD_DURATION = "ollama.load.duration"
PROMPT_EVAL_DURATION = "ollama.prompt_eval.duration"
EVAL_DURATION = "ollama.eval.duration"
UNATTRIBUTED_DURATION = "ollama.unattributed.duration"
EVAL_THROUGHPUT = "ollama.eval.throughput"
PROMPT_EVAL_THROUGHPUT = "ollama.prompt_eval.throughput"
CONTEXT_UTILIZATION = "ollama.context.utilization"
ACTIVE_REQUESTS = "ollama.client.active_requests"
COLD_STARTS = "ollama.client.cold_starts"
RETRIES = "ollama.client.retries"

# Metrics of the machine, observable.
SYSTEM_CPU_UTILIZATION = "system.cpu.utilization"
SYSTEM_MEMORY_USAGE = "system.memory.usage"
SYSTEM_MEMORY_UTILIZATION = "system.memory.utilization"
PROCESS_CPU_UTILIZATION = "process.cpu.utilization"
PROCESS_MEMORY_USAGE = "process.memory.usage"
GPU_UTILIZATION = "hw.gpu.utilization"
GPU_MEMORY_USAGE = "hw.gpu.memory.usage"
GPU_MEMORY_LIMIT = "hw.gpu.memory.limit"
GPU_MEMORY_UTILIZATION = "hw.gpu.memory.utilization"
HW_POWER = "hw.power"
HW_TEMPERATURE = "hw.temperature"
OLLAMA_PROCESS_CPU = "ollama.server.process.cpu.utilization"
OLLAMA_PROCESS_MEMORY = "ollama.server.process.memory.usage"
MODEL_MEMORY_USAGE = "ollama.model.memory.usage"
CPU_MODE = "cpu.mode"
MEMORY_STATE = "system.memory.state"
MEMORY_LOCATION = "ollama.memory.location"
HW_ID = "hw.id"
HW_NAME = "hw.name"
HW_TYPE = "hw.type"

# Who exports: attributes of the resource.
SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
SERVICE_INSTANCE_ID = "service.instance.id"
RESOURCE_HOST_NAME = "host.name"
RESOURCE_HOST_ARCH = "host.arch"
PROCESS_PID = "process.pid"
PROCESS_EXECUTABLE_NAME = "process.executable.name"
PROCESS_RUNTIME_NAME = "process.runtime.name"
PROCESS_RUNTIME_VERSION = "process.runtime.version"

# Context keys of other instrumentations: where one of them is set, nothing is started.
GENAI_CONTEXT_KEY = "opentelemetry.genai.client.inference.context"

# Units, as UCUM writes them.
SECONDS = "s"
TOKENS = "{token}"
TOKENS_PER_SECOND = "{token}/s"
REQUESTS = "{request}"
STARTS = "{start}"
RETRIES_UNIT = "{retry}"
RATIO = "1"
BYTES = "By"
WATTS = "W"
CELSIUS = "Cel"

# Buckets: the conventions' own, then ours for what may take longer than a minute.
DURATION_BUCKETS = tuple(round(0.01 * 2**i, 2) for i in range(14))
LONG_DURATION_BUCKETS = (*DURATION_BUCKETS, 163.84, 327.68, 655.36)
TOKEN_BUCKETS = tuple(4**i for i in range(14))
THROUGHPUT_BUCKETS = (1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 400)
UTILIZATION_BUCKETS = tuple(i / 10 for i in range(1, 11))
FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
OUTPUT_TOKEN_BUCKETS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
)  # fmt: skip

Kind = Literal["histogram", "counter", "updowncounter"]


class Metric(NamedTuple):
    """One metric of calls as it is created; `buckets` are advice, for histograms only."""

    name: str
    kind: Kind
    unit: str
    description: str
    buckets: tuple[float, ...] | None = None


_SHORT, _LONG = DURATION_BUCKETS, LONG_DURATION_BUCKETS
_METRICS = (
    Metric(OPERATION_DURATION, "histogram", SECONDS, "GenAI operation duration.", _SHORT),
    Metric(TOKEN_USAGE, "histogram", TOKENS, "Number of input and output tokens used.", TOKEN_BUCKETS),
    Metric(TIME_TO_FIRST_CHUNK, "histogram", SECONDS, "Time to the first chunk of a stream.", _SHORT),
    Metric(TIME_PER_OUTPUT_CHUNK, "histogram", SECONDS, "Time between chunks of a stream.", _SHORT),
    Metric(SERVER_REQUEST_DURATION, "histogram", SECONDS, "The server's own total.", _SHORT),
    Metric(
        SERVER_TIME_TO_FIRST_TOKEN,
        "histogram",
        SECONDS,
        "The server's total without decoding.",
        FIRST_TOKEN_BUCKETS,
    ),
    Metric(
        SERVER_TIME_PER_OUTPUT_TOKEN,
        "histogram",
        SECONDS,
        "Decoding time for each token after the first.",
        OUTPUT_TOKEN_BUCKETS,
    ),
    Metric(REQUEST_DURATION, "histogram", SECONDS, "The server's own total.", _LONG),
    Metric(LOAD_DURATION, "histogram", SECONDS, "Scheduling and loading the model.", _LONG),
    Metric(PROMPT_EVAL_DURATION, "histogram", SECONDS, "Evaluating the prompt.", _LONG),
    Metric(EVAL_DURATION, "histogram", SECONDS, "First to last token.", _LONG),
    Metric(UNATTRIBUTED_DURATION, "histogram", SECONDS, "In no phase: waiting.", _LONG),
    Metric(
        EVAL_THROUGHPUT, "histogram", TOKENS_PER_SECOND, "Tokens decoded per second.", THROUGHPUT_BUCKETS
    ),
    Metric(
        CONTEXT_UTILIZATION, "histogram", RATIO, "How full the context was at the end.", UTILIZATION_BUCKETS
    ),
    Metric(ACTIVE_REQUESTS, "updowncounter", REQUESTS, "Calls that have begun and not ended."),
    Metric(COLD_STARTS, "counter", STARTS, "Calls that had to load their model."),
    Metric(RETRIES, "counter", RETRIES_UNIT, "Requests beyond the first of a call."),
)
METRICS = {metric.name: metric for metric in _METRICS}
