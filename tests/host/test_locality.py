"""Whether a host is this machine: at once for addresses, in the background for names."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import pytest

from ollameter.host.locality import Locality, _is_own
from tests.host.staged import until

OWN = {"192.168.1.5", "fd00::5"}
NAMES = {"here": ["192.168.1.5"], "there": ["192.168.1.6", "10.0.0.1"], "many": ["192.168.1.5", "10.0.0.1"]}


class Staged:
    """A locality whose name server and background a test controls."""

    def __init__(self) -> None:
        self.names = dict(NAMES)
        self.waiting: list[Callable[[], None]] = []
        self.locality = Locality(self.resolve, OWN.__contains__, self.waiting.append)

    def resolve(self, host: str) -> Sequence[str]:
        """Answer, or fail as a name server does."""
        if host not in self.names:
            raise socket.gaierror(host)
        return self.names[host]

    def learn(self, host: str, now_s: float = 0.0) -> bool | None:
        """Learn of a host and let the background do its work."""
        self.locality.learn(host, now_s)
        return self.catch_up(host)

    def catch_up(self, host: str) -> bool | None:
        """Do what waits in the background."""
        while self.waiting:
            self.waiting.pop()()
        return self.locality.of(host)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost", True),
        ("ollama.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("::", True),
        ("192.168.1.5", True),
        ("fd00::5", True),
        ("192.168.1.6", False),
        ("2001:db8::1", False),
    ],
)
def test_an_address_is_known_at_once(host: str, is_local: bool) -> None:
    """No name server is needed for these."""
    staged = Staged()

    staged.locality.learn(host, 0.0)

    assert staged.locality.of(host) is is_local
    assert staged.waiting == []


def test_a_name_is_unknown_until_it_is_looked_up() -> None:
    """And nobody waits for that."""
    staged = Staged()
    staged.locality.learn("here", 0.0)
    at_first = staged.locality.of("here")

    assert at_first is None
    assert staged.catch_up("here") is True
    assert staged.learn("there") is False


def test_a_name_of_several_machines_stays_unknown() -> None:
    """Which of them answers, nobody can tell."""
    assert Staged().learn("many") is None


def test_a_name_server_that_is_away_is_asked_again_after_a_minute() -> None:
    """Laptops wake up without a network."""
    staged = Staged()
    del staged.names["here"]
    assert staged.learn("here") is None
    staged.names["here"] = NAMES["here"]

    staged.locality.refresh(59.0)
    early = staged.catch_up("here")
    staged.locality.refresh(61.0)

    assert early is None
    assert staged.catch_up("here") is True


def test_a_name_that_moves_is_noticed_after_ten_minutes() -> None:
    """A container is started anew with another address."""
    staged = Staged()
    staged.learn("here")
    staged.names["here"] = NAMES["there"]

    staged.locality.refresh(599.0)
    before = staged.catch_up("here")
    staged.locality.refresh(601.0)

    assert before is True
    assert staged.catch_up("here") is False


def test_what_is_forgotten_while_it_is_looked_up_stays_forgotten() -> None:
    """Else the memory of names would grow for ever."""
    staged = Staged()
    staged.locality.learn("here", 0.0)
    staged.locality.forget("here")

    assert staged.catch_up("here") is None
    staged.locality.refresh(1000.0)
    assert staged.waiting == []


def test_a_name_that_is_none_is_no_error() -> None:
    """A label of more than 63 letters cannot even be encoded."""
    locality = Locality(spawn=lambda work: work())

    locality.learn("x" * 80, 0.0)

    assert locality.of("x" * 80) is None


def test_this_machine_knows_itself() -> None:
    """Real addresses, real names, a real thread."""
    locality = Locality()
    for host in ("127.0.0.1", "192.0.2.1", "2001:db8::1", "localhost.localdomain"):
        locality.learn(host, 0.0)

    assert _is_own("127.0.0.1")  # as any other address that an interface has
    assert locality.of("127.0.0.1") is True
    assert locality.of("192.0.2.1") is False  # reserved for documentation
    assert locality.of("2001:db8::1") is False


def test_the_own_host_name_is_looked_up_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolved by whatever this machine resolves with."""
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: answers)
    locality = Locality()

    locality.learn("my-laptop", 0.0)

    until(lambda: locality.of("my-laptop") is True)


def test_without_another_thread_a_name_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the interpreter's life there are none."""

    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    locality = Locality()

    locality.learn("my-laptop", 0.0)

    assert locality.of("my-laptop") is None
