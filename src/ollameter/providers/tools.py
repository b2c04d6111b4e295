"""Chats in which the model calls Python functions: `chat` in a loop, with no span of its own."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from ollameter.errors import InvalidRequest, OllameterError, TooManyRounds
from ollameter.messages import Message, Reply, ToolCall, ToolsReply
from ollameter.providers.answers import Answers
from ollameter.providers.base import Messages
from ollameter.wire.fields import AnswerFields
from ollameter.wire.tools import ModelMistake, Tool, callable_tools, result_text

_log = logging.getLogger("ollameter.tools")


class ToolRuns(Answers):
    """Chats that go on until the model wants no more tools called."""

    def run_tools(
        self,
        messages: Messages,
        tools: Sequence[Callable[..., Any]],
        model: str | None = None,
        *,
        max_rounds: int = 10,
        **fields: Unpack[AnswerFields],
    ) -> ToolsReply:
        """Chat, call the functions the model wants called, tell it their results, and so on.

        Ends with the first reply that calls nothing; the last of `max_rounds` chats that still
        does raises `TooManyRounds`. A function that raises, an unknown name and arguments that do
        not fit are told to the model as text ("error: …"), and logged. Each chat is a call with a
        span and metrics of its own. Every `OllameterError` carries `messages` and `rounds`.
        """
        run = _ToolRun(messages, callable_tools(tools, may_await=False), max_rounds)
        try:
            while calls := run.add(self.chat(run.messages, model, tools=run.tools, **fields)):
                for call in calls:
                    run.answer(call, run.result(call))
        except OllameterError as error:
            run.put_on(error)
            raise
        return run.reply()

    async def run_tools_async(
        self,
        messages: Messages,
        tools: Sequence[Callable[..., Any]],
        model: str | None = None,
        *,
        max_rounds: int = 10,
        **fields: Unpack[AnswerFields],
    ) -> ToolsReply:
        """Do as `run_tools` without blocking; functions may be async, and run one after another."""
        run = _ToolRun(messages, callable_tools(tools, may_await=True), max_rounds)
        try:
            while calls := run.add(await self.chat_async(run.messages, model, tools=run.tools, **fields)):
                for call in calls:
                    run.answer(call, await run.result_async(call))
        except OllameterError as error:
            run.put_on(error)
            raise
        return run.reply()


class _ToolRun:
    """One conversation with tools as it grows: what was said, by whom, and what it cost."""

    def __init__(self, messages: Messages, tools: Mapping[str, Tool], max_rounds: Any) -> None:
        if isinstance(max_rounds, bool) or not isinstance(max_rounds, int) or max_rounds < 1:
            raise InvalidRequest(f"max_rounds: expected an integer of at least 1, got {max_rounds!r:.80}")
        self.messages = messages
        self.tools = [tool.definition for tool in tools.values()]
        self._by_name = tools
        self._max_rounds = max_rounds
        self._rounds: list[Reply] = []

    def add(self, reply: Reply) -> Sequence[ToolCall]:
        """Take a reply; return what it wants called, or raise when that is once too often."""
        self._rounds.append(reply)
        self.messages = [*self.messages, reply.message]
        if reply.tool_calls and len(self._rounds) == self._max_rounds:
            error = TooManyRounds(f"the model still calls tools after max_rounds={self._max_rounds}")
            error.metrics, error.partial_text = reply.metrics, reply.text
            raise error
        return reply.tool_calls

    def result(self, call: ToolCall) -> str:
        """Call a function; return its result, or what went wrong, as text."""
        try:
            return result_text(self._called(call))
        except Exception as error:  # whatever a caller's function raises: the model is told
            return _told(call, error)

    async def result_async(self, call: ToolCall) -> str:
        """Call a function and await what is to be awaited; return its result as text."""
        try:
            result = self._called(call)
            return result_text(await result if inspect.isawaitable(result) else result)
        except Exception as error:  # whatever a caller's function raises: the model is told
            return _told(call, error)

    def answer(self, call: ToolCall, text: str) -> None:
        """Add the result of a call to the conversation."""
        answer = Message(role="tool", content=text, tool_name=call.name, tool_call_id=call.id)
        self.messages = [*self.messages, answer]

    def reply(self) -> ToolsReply:
        """Return the last reply, with the conversation and every round's reply on it."""
        return ToolsReply.of(self._rounds, self.messages)

    def put_on(self, error: OllameterError) -> None:
        """Have an error carry what there was, so that nothing said or measured is lost."""
        if self._rounds:
            error.messages, error.rounds = tuple(self.messages), tuple(self._rounds)

    def _called(self, call: ToolCall) -> Any:
        tool = self._by_name.get(call.name)
        if tool is None:
            raise ModelMistake(f"there is no tool {call.name!r}, only {[*self._by_name]}")
        return tool.call(call.arguments)


def _told(call: ToolCall, error: Exception) -> str:
    """Log what went wrong, and return it as the model is told."""
    if isinstance(error, ModelMistake):
        _log.info("the model called %s: %s", call.name, error)
        return f"error: {error}"
    _log.warning("the tool %s failed; the model is told", call.name, exc_info=error)
    return f"error: {type(error).__name__}: {error}"
