"""A llama.cpp engine behind plain calls: one model, one slot, no HTTP.

One thread owns the slot and serves jobs in the order they came. It hands events over and never
waits for whoever reads them, so a slow reader cannot hold the slot.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ollameter.embedded.job import Job, refusal

# The engine looks for a cancellation between batches of the prompt: 64 tokens are about 1 s.
_BATCH_TOKENS = 64


class EngineFailed(Exception):
    """The model could not be loaded, or the engine is closed."""


class Engine:
    """Loads the model when first needed, unloads it when idle for `keep_alive_s`."""

    def __init__(self, model: Path, *, context_length: int, threads: int) -> None:
        self.context_length = context_length
        self._model = model
        self._threads = threads
        self._lock = threading.Lock()
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._native: Any = None
        self._unfinished = 0
        self._keep_alive_s = 0.0
        self._expires_s = 0.0  # by time.monotonic()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="embedded-engine", daemon=True)
        self._thread.start()

    @property
    def expires_at(self) -> datetime | None:
        """The moment an idle model is unloaded, None while there is none."""
        if self._native is None:
            return None
        left_s = self._keep_alive_s if self._unfinished else self._expires_s - time.monotonic()
        return datetime.now(UTC) + timedelta(seconds=left_s)

    def load(self, keep_alive_s: float) -> None:
        """Load the model unless it is loaded; raise `EngineFailed` when that is impossible."""
        with self._lock:
            self._ensure_loaded()
            self._keep(keep_alive_s)
        self._jobs.put(None)

    def unload(self) -> None:
        """Free the model as soon as no job is left."""
        with self._lock:
            self._keep(0)
        self._jobs.put(None)

    def submit(self, job: Job, keep_alive_s: float) -> None:
        """Queue a job, with the model loaded on return: the wait for the slot begins here."""
        with self._lock:
            self._ensure_loaded()
            self._keep(keep_alive_s)
            self._unfinished += 1
        self._jobs.put(job)

    def close(self) -> None:
        """Drop every job and free the model; safe to call twice."""
        with self._lock:
            self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _ensure_loaded(self) -> None:
        if self._closed:
            raise EngineFailed("the embedded server is closed")
        if self._native is None:
            try:
                self._native = _start_native(self._model, self.context_length, self._threads)
            except Exception as error:  # xllamacpp passes on whatever C++ threw
                raise EngineFailed(f"model failed to load: {error}") from error

    def _keep(self, keep_alive_s: float) -> None:
        self._keep_alive_s = keep_alive_s
        self._expires_s = time.monotonic() + keep_alive_s

    def _work(self) -> None:
        while not self._closed:
            job = None
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get(timeout=self._idle_left_s())
            if job is not None:
                self._run(job)
                with self._lock:
                    self._unfinished -= 1
                    self._keep(self._keep_alive_s)
            self._unload_when_expired()
        self._native = None
        while not self._jobs.empty():
            if (job := self._jobs.get()) is not None:
                job.put(None)

    def _run(self, job: Job) -> None:
        def receive(data: bytes) -> bool:
            return job.take(data) or self._closed

        native = self._native
        answer = native.handle_completions if job.is_raw else native.handle_chat_completions
        try:
            if not job.cancelled:
                answer(job.request, receive)
        except Exception as error:  # xllamacpp passes on whatever C++ threw
            job.put(refusal(str(error)))
        finally:
            job.put(None)

    def _idle_left_s(self) -> float | None:
        with self._lock:
            if self._native is None or self._unfinished:
                return None
            left_s = max(0.0, self._expires_s - time.monotonic())
            return min(left_s, threading.TIMEOUT_MAX)

    def _unload_when_expired(self) -> None:
        with self._lock:
            if not self._unfinished and time.monotonic() >= self._expires_s:
                self._native = None


def _start_native(model: Path, context_length: int, threads: int) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = context_length
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0
    params.fit_params = False
    params.verbosity = -1
    # xllamacpp always opens llama.cpp's own HTTP port as well: nobody gets the key.
    params.api_keys = [secrets.token_hex(16)]
    params.n_threads_http = 1
    params.ui = False
    return xllamacpp.Server(params)
