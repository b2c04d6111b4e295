"""What is measured, section by section: small batches of every variant in turn, round after round."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import imports
from benchmarks.fake_server import FakeServer
from benchmarks.processes import Process, processes
from benchmarks.scenarios import FRAMINGS, Scenario, burst, long_stream, paced, whole_chat
from benchmarks.variants import CUT_OUT, OURS, VARIANTS

CHUNKS = 4096
PARTS = 5  # batches of calls in a round: what slows the machine down for a second disturbs few of them
STREAMS = 4  # in a batch: a flush of all metrics falls upon each
SHORT_CHUNKS = 64
PER_SECOND = 50
AT_ONCE = (1, 64, 512)
CLIENT, SERVER = 0, 1  # processors

_TARGETED = "ollama + OpenLLMetry"  # what the asynchronous targets are about
_PEERS = ("ollama", _TARGETED, "ollama + OpenInference", "ollama + OpenLIT")
_OURS = (OURS, "ollameter, not sampled", "ollameter, no SDK", CUT_OUT)
_SYNC = ("http.client", "requests", *_PEERS, *_OURS, "the SDK alone", "ollameter, arrival times",
         "ollameter, chunk metric")  # fmt: skip
_ASYNC = ("aiohttp", *_PEERS, OURS)
_EXACT = ("http.client", "requests", *_PEERS, OURS)

Results = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int = 7
    calls: int = 60
    async_rounds: int = 2
    paced_rounds: int = 3
    import_rounds: int = 6
    many_calls: int = 100_000
    idle_s: float = 12.0


def scenarios() -> dict[str, Scenario]:
    """Return every answer that is asked for below."""
    crowd = paced(4 * PER_SECOND, PER_SECOND, first_after_s=1.5)
    return {
        "whole": whole_chat(),
        "long": burst(CHUNKS),
        "short": burst(SHORT_CHUNKS),
        "gibibyte": long_stream(1 << 30, 1 << 10),
        "crowd": crowd,
        **{f"paced {framing}": paced(PER_SECOND, PER_SECOND, framing) for framing in FRAMINGS},
    }


class Run:
    """One run of sections against one server; `results` is what they found."""

    def __init__(
        self, server: FakeServer, peers: Path | None, plan: Plan, say: Callable[[str], None]
    ) -> None:
        self._server = server
        self._peers = peers
        self._plan = plan
        self._say = say
        self.results: Results = {"server": {}}

    def calls(self) -> None:
        """CPU of a chat and of a streamed chunk: what is asked for one call at a time."""
        self._section("calls and chunks")
        with self._started(_SYNC) as workers:
            chat = partial(_each, "chat", n=self._plan.calls)
            stream = partial(_each, "stream", scenario="long", n=STREAMS)
            for work in (chat, stream):  # what is done the first time is not measured
                work(workers)
            for turn in range(self._plan.rounds):
                for part in range(PARTS):
                    in_turn = _shuffled(workers, PARTS * turn + part)
                    self._note("calls", chat(in_turn), 1e6 / self._plan.calls)
                self._note("chunks", stream(_shuffled(workers, turn)), 1e6 / CHUNKS / STREAMS)
            self.results["micro"] = workers[OURS].do("micro")
        self._served("calls and chunks")

    def at_once(self) -> None:
        """Streams a second, on one event loop."""
        for at_once in AT_ONCE:
            self._section(f"streams, {at_once} at once")
            n = max(at_once, 128)
            with self._started(_ASYNC) as workers:
                streams = partial(_each, "streams_async", scenario="short", n=n, at_once=at_once)
                few = at_once == AT_ONCE[-1]  # there a peer needs a minute for what takes us a second
                streams({name: w for name, w in workers.items() if not (few and VARIANTS[name].is_peer)})
                for turn in range(self._plan.async_rounds):
                    in_turn = _shuffled(workers, turn)
                    if few and turn:  # once is enough of the peers that no target is about
                        in_turn = {
                            name: in_turn[name] for name in ("aiohttp", OURS, _TARGETED) if name in in_turn
                        }
                    for name, told in streams(in_turn).items():
                        found = self.results.setdefault("streams", {}).setdefault(str(at_once), {})
                        found.setdefault(name, []).append(n / told["wall_s"])
        self._served("streams at once")

    def crowd(self) -> None:
        """512 streams at the pace of a model: the share of a core, and how late chunks come."""
        self._section("512 streams at 50 chunks/s")
        with self._started((OURS, "aiohttp", *_PEERS)) as workers:
            for turn in range(self._plan.async_rounds):
                for name, worker in workers.items():
                    if turn and VARIANTS[name].is_peer:
                        continue  # once is enough to see that none of them can keep up
                    self._server.report()
                    told = worker.do("paced_async", scenario="crowd", at_once=AT_ONCE[-1])
                    told |= {"core": told["cpu_s"] / told["wall_s"], "server": self._server.report()}
                    self.results.setdefault("crowd", {}).setdefault(name, []).append(told)

    def accuracy(self) -> None:
        """Delivered and reported times against the server's own clock, in three framings."""
        with self._started(_EXACT, seeing=True) as workers:
            for framing in FRAMINGS:
                self._section(f"accuracy, {framing}")
                for name, worker in workers.items():
                    worker.do("paced", scenario=f"paced {framing}")
                    found = [
                        worker.do("paced", scenario=f"paced {framing}")
                        for _ in range(self._plan.paced_rounds)
                    ]
                    self.results.setdefault("accuracy", {}).setdefault(framing, {})[name] = found
        self._served("accuracy")

    def imports(self) -> None:
        """Import time and memory, in fresh interpreters."""
        self._section("imports")
        found = imports.measure(self._server.urls["whole"], CLIENT, self._plan.import_rounds, self._peers)
        self.results["imports"] = found

    def idle(self) -> None:
        """Take the share of a core that the monitor's thread needs while nothing is called."""
        self._section("the monitor, idle")
        with self._started(("ollameter, no SDK",)) as workers:
            (worker,) = workers.values()
            worker.do("chat", n=1)
            worker.do("idle", seconds=2.0)
            spent = worker.do("idle", seconds=self._plan.idle_s)
            self.results["idle"] = spent["ollameter-host"] / self._plan.idle_s

    def memory(self) -> None:
        """Memory over many calls, and over one long stream."""
        self._section(f"memory over {self._plan.many_calls} calls")
        with self._started((OURS,)) as workers:
            (worker,) = workers.values()
            steps = 10
            worker.do("chat", n=1000)
            resident = []
            for _ in range(steps):
                worker.do("chat", n=self._plan.many_calls // steps)
                resident.append(worker.do("resident")["bytes"])
            self.results["resident"] = resident
        self._section("memory over a stream of 1 GiB")
        with self._started((OURS,)) as workers:
            (worker,) = workers.values()
            worker.do("stream", scenario="long", n=1)
            self.results["gibibyte"] = worker.do("memory", scenario="gibibyte")

    def _started(self, variants: Iterable[str], *, seeing: bool = False) -> Any:
        return processes(variants, self._server.urls, CLIENT, self._peers, seeing=seeing)

    def _section(self, name: str) -> None:
        self._say(name)
        self._server.report()

    def _served(self, name: str) -> None:
        self.results["server"][name] = self._server.report()

    def _note(self, section: str, told: dict[str, Any], factor: float) -> None:
        for name, one in told.items():
            self.results.setdefault(section, {}).setdefault(name, []).append(one["cpu_s"] * factor)


def _shuffled(workers: dict[str, Process], turn: int) -> dict[str, Process]:
    """Return the workers in another order: who comes after whom must not matter."""
    names = random.Random(turn).sample(list(workers), len(workers))  # noqa: S311  # no secret
    return {name: workers[name] for name in names}


def _each(what: str, workers: dict[str, Process], **how: Any) -> dict[str, Any]:
    return {name: worker.do(what, **how) for name, worker in workers.items()}
