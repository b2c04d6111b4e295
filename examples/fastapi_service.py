"""A service that streams: `MODEL=llama3.2 uvicorn examples.fastapi_service:app`, then GET /ask?q=Hi.

One trace a request, the call below HTTP. Needs fastapi, uvicorn, opentelemetry-instrumentation-fastapi.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

import ollameter

telemetry = ollameter.configure(service_name="ask")
llm = ollameter.OllamaProvider(model=os.environ.get("MODEL", "llama3.2"))


@asynccontextmanager
async def life(_: FastAPI) -> AsyncIterator[None]:
    async with llm:
        yield
    telemetry.shutdown()


app = FastAPI(lifespan=life)
FastAPIInstrumentor.instrument_app(app)


@app.get("/ask")
async def ask(q: str) -> StreamingResponse:
    stream = llm.stream_async([{"role": "user", "content": q}])  # the call, and its span, begin here

    async def pieces() -> AsyncIterator[str]:
        async with stream:
            async for chunk in stream:
                yield chunk.text

    return StreamingResponse(pieces(), media_type="text/plain")
