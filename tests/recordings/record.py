"""Record a real Ollama's answers byte for byte with arrival times: `python tests/recordings/record.py`.

Starts the installed server of tests/stack by itself and rewrites the JSON files beside this one.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent
if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1]))

from tests.stack.install import installed  # noqa: E402  # found through the line above
from tests.stack.servers import RealOllama  # noqa: E402  # likewise

_SHORT = {"num_predict": 12, "temperature": 0, "seed": 1}
_HI = [{"role": "user", "content": "Say hi to Zoë."}]
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat_stream": ("/api/chat", {"messages": _HI, "options": _SHORT}),
    "chat_whole": ("/api/chat", {"messages": _HI, "options": _SHORT, "stream": False}),
    "chat_one_token": ("/api/chat", {"messages": _HI, "options": {**_SHORT, "num_predict": 1}}),
    "chat_logprobs": ("/api/chat", {"messages": _HI, "options": _SHORT, "logprobs": True}),
    "generate_stream": ("/api/generate", {"prompt": "One, two,", "options": _SHORT}),
    "generate_whole": ("/api/generate", {"prompt": "One, two,", "options": _SHORT, "stream": False}),
    "load": ("/api/generate", {"prompt": ""}),
    "absent_model": ("/api/chat", {"messages": _HI, "model": "absent"}),
    "wrong_option": ("/api/chat", {"messages": _HI, "options": {"temperature": "x"}}),
}


def record(base_url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return one answer as it came over the socket: pieces with seconds since the request."""
    address = urlsplit(base_url)
    sent = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(sent)}\r\nConnection: close\r\n\r\n"
    )
    pieces = []
    with socket.create_connection((address.hostname or "", address.port or 80), 60) as connection:
        connection.sendall(head.encode() + sent)
        begun = time.perf_counter()
        while piece := connection.recv(65536):
            seconds = round(time.perf_counter() - begun, 6)
            pieces.append([seconds, base64.b64encode(piece).decode()])
    return {"path": path, "request": body, "pieces": pieces}


def main() -> None:
    """Record every answer anew."""
    prefix = installed("ollama")
    if prefix is None:
        sys.exit("Ollama is not built: run `python tests/stack/install.py ollama`")
    with RealOllama(prefix) as server:
        for name, (path, body) in ASKED.items():
            asked = {"model": server.model, **body}
            recorded = {"version": server.version, **record(server.base_url, path, asked)}
            (FOLDER / f"{name}.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
