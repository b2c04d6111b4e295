"""Every dashboard, described once; `build_dashboards.py` writes them as Grafana's JSON."""

from __future__ import annotations

from boards.errors import ERRORS
from boards.latency import LATENCY
from boards.machine import MACHINE
from boards.models import MODELS
from boards.overview import OVERVIEW
from boards.panel import Board
from boards.phases import PHASES
from boards.pipeline import PIPELINE
from boards.tokens import TOKENS

BOARDS: tuple[Board, ...] = (OVERVIEW, LATENCY, PHASES, TOKENS, MACHINE, MODELS, ERRORS, PIPELINE)
