"""`ollameter chat`: one question, or a conversation; after each answer what it cost."""

from __future__ import annotations

import sys
from typing import Any

import click

from ollameter import Chunk, InvalidRequest, OllamaProvider, OllameterError, Reply, Stream
from ollameter.cli.options import chosen_model, output_options, server_options
from ollameter.cli.output import Output

_HELP = "/clear forgets the conversation, /explain says why the last answer took so long, /bye leaves."


@click.command()
@click.argument("question", required=False)
@click.option("--model", "-m", metavar="NAME", help="The model; default: the server's newest.")
@click.option("--system", metavar="TEXT", help="Instructions that come before everything else.")
@click.option("--num-predict", type=int, metavar="N", help="At most so many tokens an answer.")
@click.option("--temperature", type=float, help="0 always takes the likeliest token.")
@click.option("--explain", is_flag=True, help="Say in words what the numbers mean.")
@output_options
@server_options
def chat(
    llm: OllamaProvider,
    output: Output,
    question: str | None,
    model: str | None,
    system: str | None,
    num_predict: int | None,
    temperature: float | None,
    explain: bool,
) -> None:
    """Ask QUESTION, or what comes on standard input; in a terminal without either, converse."""
    if question is None and not output.is_interactive:
        question = sys.stdin.read().strip()
        if not question:
            raise InvalidRequest("question: empty; give it as an argument or on standard input")
    talk = Conversation(
        llm,
        chosen_model(llm, model, output),
        output,
        system=system,
        options={"num_predict": num_predict, "temperature": temperature},
    )
    if question is None:
        talk.run()
    else:
        talk.answer_once(question, explain=explain)


class Conversation:
    """What has been said so far, and whom to ask next."""

    def __init__(
        self,
        llm: OllamaProvider,
        model: str,
        output: Output,
        *,
        system: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._llm = llm
        self._model = model
        self._output = output
        self._options = options
        self._begin: list[Any] = [{"role": "system", "content": system}] if system else []
        self._messages = list(self._begin)
        self._last: Reply | None = None

    def answer_once(self, question: str, *, explain: bool) -> None:
        """Print one answer and what it cost."""
        if self._output.as_json:
            reply = self._ask(question, show=False)
            shown = {"text": reply.text, "thinking": reply.thinking, "metrics": reply.metrics.to_dict()}
            more = {"explanation": reply.metrics.explain()} if explain else {}
            self._output.show({**shown, **more}, lambda: None)
            return
        self._ask(question, show=True)
        self._tell_cost()
        if explain:
            self._explain()

    def run(self) -> None:
        """Converse until /bye or the end of the input."""
        _remember_lines()
        self._output.say(f"{self._model}. {_HELP}")
        while True:
            try:
                line = input(">>> ").strip()
            except EOFError:
                self._output.write("\n")
                return
            except KeyboardInterrupt:
                self._output.write("\n")
                continue
            if line == "/bye":
                return
            if line:
                self._take(line)

    def _take(self, line: str) -> None:
        if line == "/clear":
            self._messages, self._last = list(self._begin), None
        elif line == "/explain":
            self._explain()
        elif line.startswith("/"):
            self._output.say(_HELP)
        else:
            self._converse(line)

    def _converse(self, line: str) -> None:
        """Answer one line; neither Ctrl-C nor an error ends the conversation."""
        try:
            self._ask(line, show=True)
            self._tell_cost()
        except KeyboardInterrupt:
            self._output.say("\nstopped")
        except OllameterError as error:
            self._output.say(f"\n{error}")

    def _ask(self, question: str, *, show: bool) -> Reply:
        asked = {"role": "user", "content": question}
        with self._llm.stream([*self._messages, asked], self._model, options=self._options) as stream:
            self._read(stream, show=show)
        self._last = reply = stream.reply
        self._messages += [asked, reply.message]
        return reply

    def _read(self, stream: Stream, *, show: bool) -> None:
        thinks = False
        for chunk in stream:
            if show:
                thinks = self._show(chunk, thinks)
        if show:
            self._output.write("\n")

    def _show(self, chunk: Chunk, thinks: bool) -> bool:
        """Print a chunk as it came; a line parts what was thought from the answer."""
        if chunk.thinking:
            self._output.console.print(chunk.thinking, style="dim", end="", markup=False)
            return True
        if thinks and chunk.text:
            self._output.write("\n---\n")
        self._output.write(chunk.text)
        return thinks and not chunk.text

    def _tell_cost(self) -> None:
        if self._last is not None:
            self._output.print(str(self._last.metrics), style="dim")

    def _explain(self) -> None:
        for sentence in self._last.metrics.explain() if self._last is not None else ():
            self._output.print(f"- {sentence}", style="dim")


def _remember_lines() -> None:
    """Have arrow keys recall earlier lines, where the platform can."""
    try:
        import readline  # noqa: F401  # importing it is what does it
    except ImportError:
        pass
