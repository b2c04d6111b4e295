"""What only a terminal shows: a conversation that is typed, and a picture that renews itself."""

from __future__ import annotations

from ollameter.testing import Answer, FakeOllama, chat_lines, error_answer
from tests.cli.terminal import Terminal

ALTERNATE_SCREEN, NORMAL_SCREEN, HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"


def asked(fake: FakeOllama) -> list[list[str]]:
    """Return what each request for an answer said so far."""
    bodies = [request.json for request in fake.requests if request.path == "/api/chat"]
    return [[message["content"] for message in body["messages"]] for body in bodies]


def test_a_conversation_remembers_what_was_said_until_it_is_told_to_forget(fake: FakeOllama) -> None:
    """Each answer comes with its cost; /explain says why; an error does not end it."""
    fake.script("/api/chat", Answer(lines=chat_lines("One.")), Answer(lines=chat_lines("Two.")))
    fake.script("/api/chat", error_answer(500, "out of memory"), Answer(lines=chat_lines("Three.")))
    terminal = Terminal("chat", "-m", "llama3.2", host=fake.base_url)

    terminal.wait_for(">>> ")
    for line, answer in (("first", "One."), ("second", "Two."), ("third", "out of memory")):
        terminal.type(f"{line}\n")
        terminal.wait_for(answer)
        terminal.wait_for(">>> ")
    terminal.type("/explain\n")
    terminal.wait_for("- ")
    terminal.wait_for(">>> ")
    terminal.type("/clear\n")
    terminal.wait_for(">>> ")
    terminal.type("fourth\n")
    assert "chat llama3.2: completed in" in terminal.wait_for("Three.") + terminal.wait_for(">>> ")
    terminal.type("/what\n")
    terminal.wait_for("/bye leaves")
    terminal.wait_for(">>> ")
    terminal.type("/bye\n")

    assert terminal.wait_for_end() == 0
    assert asked(fake) == [
        ["first"], ["first", "One.", "second"], ["first", "One.", "second", "Two.", "third"], ["fourth"]
    ]  # fmt: skip


def test_control_c_stops_an_answer_and_control_d_ends_the_conversation(fake: FakeOllama) -> None:
    """The server is left at once, the conversation goes on."""
    fake.script("/api/chat", Answer(lines=chat_lines("Hel", "lo")[:1], cut="hang"))
    terminal = Terminal("chat", "-m", "llama3.2", host=fake.base_url)

    terminal.wait_for(">>> ")
    terminal.type("x\n")
    assert fake.wait_for_requests(1, timeout_s=20.0)
    terminal.type("\x03")
    terminal.wait_for("stopped")
    assert fake.wait_until_left()
    terminal.wait_for(">>> ")
    terminal.type("\x04")

    assert terminal.wait_for_end() == 0


def test_top_renews_its_picture_in_place_and_leaves_the_screen_as_it_was(fake: FakeOllama) -> None:
    """On the alternate screen, from its top, without clearing it: nothing flickers."""
    terminal = Terminal("top", "--interval", "0.2", host=fake.base_url)

    terminal.wait_for(ALTERNATE_SCREEN)
    terminal.wait_for("CPU")
    seen = "".join(terminal.wait_for("CPU") for _ in range(3))
    terminal.type("\x03")

    assert terminal.wait_for_end() == 130
    assert NORMAL_SCREEN in terminal.screen
    assert seen.count(HOME) >= 3
    assert "\x1b[2J" not in seen
