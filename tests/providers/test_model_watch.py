"""When the background looks at a server: while it is used, gently, and never for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import pytest

from ollameter.errors import ConnectionFailed, ResponseError
from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import ModelMemory
from ollameter.providers.model_view import ModelView
from ollameter.providers.model_watch import ModelWatch, show_memory
from ollameter.wire.address import Address
from ollameter.wire.models import ModelInfo, RunningModel
from tests.providers.watched import Clock, Glance, final, request, running

# The thread of the process looks by its own clock, for which these times are far away.
FAR_AWAY_S = 1e9


@pytest.fixture
def clock() -> Clock:
    """A time so late that nothing is due for the real thread."""
    clock = Clock()
    clock.now_s = FAR_AWAY_S
    return clock


@pytest.fixture
def glance() -> Glance:
    """A server that has the model in memory."""
    return Glance(running())


@pytest.fixture
def watch(glance: Glance, clock: Clock) -> Iterator[ModelWatch]:
    """A watch that looks when the test says so."""
    watch = ModelWatch(glance, clock=clock)
    yield watch
    watch.close()


def due_in_s(watch: ModelWatch) -> float:
    """Return how long it is until the next look."""
    return watch.due_s - watch.clock()


def test_a_provider_that_waits_is_looked_at_after_a_second(watch: ModelWatch) -> None:
    """So that its first call may be known to be cold."""
    assert due_in_s(watch) == 1.0


def test_a_first_call_puts_the_look_off(watch: ModelWatch, clock: Clock) -> None:
    """To a time when the server has shown that it answers, or the call takes long."""
    clock.now_s += 0.9
    ModelView(watch, request())

    assert due_in_s(watch) == 2.0


def test_the_end_of_a_call_that_left_something_open_is_followed_by_a_look(
    watch: ModelWatch, glance: Glance, clock: Clock
) -> None:
    """A second later; a call about which all is known is not, nor one that broke off."""
    ModelView(watch, request()).describe(final())
    assert due_in_s(watch) == 1.0

    clock.now_s += 1.0
    watch.look()
    assert due_in_s(watch) == 8.0
    ModelView(watch, request()).describe(final())
    ModelView(watch, request()).describe(None)
    assert due_in_s(watch) == 8.0
    ModelView(watch, request(keep_alive=0)).describe(final())
    assert due_in_s(watch) == 1.0
    assert glance.asked == 1


def test_a_call_whose_model_is_not_there_yet_is_looked_at_again(
    watch: ModelWatch, glance: Glance, clock: Clock
) -> None:
    """Every two seconds, until it is listed or has ended."""
    glance.loaded = ()
    view = ModelView(watch, request())
    watch.look()
    assert due_in_s(watch) == 2.0

    glance.loaded = (running(),)
    watch.look()
    assert due_in_s(watch) == 8.0
    assert view.describe(final()).prompt_truncated is False


def test_ten_minutes_without_a_call_end_it_until_the_next(watch: ModelWatch, clock: Clock) -> None:
    """Longer than Ollama keeps a model, so that the model is seen leaving."""
    watch.look()
    clock.now_s += 600.0
    watch.look()
    assert due_in_s(watch) == 8.0

    clock.now_s += 1.0
    watch.look()
    assert watch.due_s == inf
    ModelView(watch, request())
    assert due_in_s(watch) == 1.0


def test_a_call_that_lasts_an_hour_keeps_it_going(watch: ModelWatch, clock: Clock) -> None:
    """The provider is in use as long as a call is open."""
    view = ModelView(watch, request())
    clock.now_s += 3600.0
    watch.look()

    assert due_in_s(watch) == 8.0
    view.describe(None)


def test_a_server_that_lacks_it_is_asked_less_and_less(
    watch: ModelWatch, glance: Glance, clock: Clock
) -> None:
    """A gateway without `/api/ps`, say; calls do not bring the next look forward."""
    glance.error = ResponseError("404 page not found", status_code=404)
    pauses = []
    for _ in range(7):
        ModelView(watch, request()).describe(final())
        watch.look()
        pauses.append(due_in_s(watch))
        ModelView(watch, request()).describe(final())
        assert due_in_s(watch) == pauses[-1]

    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    glance.error = None
    watch.look()
    assert due_in_s(watch) <= 8.0


def test_a_server_that_is_away_is_asked_as_often_as_ever(watch: ModelWatch, glance: Glance) -> None:
    """It may be back soon."""
    glance.error = ConnectionFailed("refused", "connection_refused")
    for _ in range(3):
        watch.look()
        assert due_in_s(watch) == 8.0


def test_a_closed_watch_never_asks(watch: ModelWatch, glance: Glance) -> None:
    """Not even when its turn had come."""
    watch.close()
    watch.look()

    assert (glance.asked, glance.is_closed, watch.due_s) == (0, True, inf)


def test_a_watch_without_a_glance_only_listens(clock: Clock) -> None:
    """What callers ask themselves is used all the same."""
    watch = ModelWatch(None, clock=clock)
    watch.saw_running([running()], clock())
    watch.look()
    view = ModelView(watch, request())

    assert watch.due_s == inf
    facts = view.describe(final()).model_info
    assert facts is not None
    assert facts.context_length == 4096


def test_listed_models_have_facts_before_they_are_loaded(watch: ModelWatch) -> None:
    """As `/api/tags` tells them."""
    watch.saw_listed([ModelInfo(name="llama3.2:latest", digest="d2", details={"family": "llama"})])
    facts = ModelView(watch, request()).describe(final()).model_info

    assert facts is not None
    assert (facts.digest, facts.family, facts.context_length) == ("d2", "llama", None)


def test_thousands_of_model_names_are_not_all_kept(watch: ModelWatch) -> None:
    """A program that makes names up does not make us grow."""
    for i in range(1000):
        ModelView(watch, request(f"m{i}")).describe(final())

    assert len(watch._known) <= 256
    assert not watch._open


def test_memory_is_shown_by_the_monitor() -> None:
    """On GPUs and in the host's; what makes no sense, or was not said, is left out."""
    monitor = HostMonitor()
    models = [
        running(), RunningModel(name="b", size=10), RunningModel(name="c"),
        RunningModel(name="d", size=10, size_vram=11),
    ]  # fmt: skip

    show_memory(monitor, Address("http", "127.0.0.1", 11434), models)

    assert monitor._servers.models() == {
        ("127.0.0.1", 11434): (
            ModelMemory(name="llama3.2:latest", gpu_bytes=1000, host_bytes=1000),
            ModelMemory(name="b", gpu_bytes=0, host_bytes=10),
        )
    }
