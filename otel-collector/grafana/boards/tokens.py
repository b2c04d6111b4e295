"""How much is read and written, and how full the context gets."""

from __future__ import annotations

from boards import exported
from boards.exported import CONTEXT, MODEL, TOKEN_TYPE
from boards.panel import COUNT, SHARE, TOKENS_PER_SECOND, Board, Panel, ask
from boards.promql import chosen, quantile, rate, ratio, total

_USED = exported.TOKENS
_TYPE, _OF_MODEL = f"{{{{{TOKEN_TYPE}}}}}", f"{{{{{MODEL}}}}}"
_INPUT, _OUTPUT = chosen(f'{TOKEN_TYPE}="input"'), chosen(f'{TOKEN_TYPE}="output"')
_NO_CONTEXT = "no context length known"

TOKENS = Board(
    key="tokens",
    title="ollameter: tokens and context",
    description="Tokens as the server counted them, and the share of the context that calls filled.",
    panels=(
        Panel(
            title="Tokens",
            description="Tokens read (input) and written (output) per second.",
            unit=TOKENS_PER_SECOND,
            queries=(ask(rate(f"{_USED}_sum", TOKEN_TYPE), _TYPE),),
        ),
        Panel(
            title="Output by model",
            description="Tokens that each model wrote per second.",
            unit=TOKENS_PER_SECOND,
            queries=(ask(rate(f"{_USED}_sum", MODEL, where=_OUTPUT), _OF_MODEL),),
        ),
        Panel(
            title="Tokens of a call",
            description="Mean number of tokens, of the calls that reported them.",
            unit=COUNT,
            queries=(
                ask(ratio(rate(f"{_USED}_sum", TOKEN_TYPE), rate(f"{_USED}_count", TOKEN_TYPE)), _TYPE),
            ),
        ),
        Panel(
            title="Long calls",
            description="One call in twenty reads or writes more. Buckets quadruple: a rough number.",
            unit=COUNT,
            queries=(ask(quantile(0.95, _USED, TOKEN_TYPE), f"p95 {_TYPE}"),),
        ),
        Panel(
            title="Context in use",
            description="How full the context was when the call ended: prompt and answer, of its length.",
            unit=SHARE,
            most=1,
            no_value=_NO_CONTEXT,
            queries=(
                ask(quantile(0.5, CONTEXT, MODEL), f"p50 {_OF_MODEL}"),
                ask(quantile(0.95, CONTEXT, MODEL), f"p95 {_OF_MODEL}"),
            ),
        ),
        Panel(
            title="Calls with a nearly full context",
            description="Share of calls that ended with more than 90 % of the context in use: beyond it "
            "Ollama cuts the prompt without a word.",
            unit=SHARE,
            most=1,
            no_value=_NO_CONTEXT,
            steps=(0.05, 0.2),
            queries=(
                ask(
                    "1 - "
                    + ratio(
                        rate(f"{CONTEXT}_bucket", MODEL, where=chosen('le="0.9"')),
                        rate(f"{CONTEXT}_count", MODEL),
                    ),
                    _OF_MODEL,
                ),
            ),
        ),
        Panel(
            title="Totals",
            description="Tokens of each model in this range; exact.",
            unit=COUNT,
            kind="table",
            rows=((MODEL, "Model"),),
            queries=(
                ask(total(f"{_USED}_sum", MODEL, where=_INPUT), "Input tokens"),
                ask(total(f"{_USED}_sum", MODEL, where=_OUTPUT), "Output tokens"),
            ),
            width=24,
            height=6,
        ),
    ),
)
