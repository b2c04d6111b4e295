"""Every fault by its name, in the order in which a call meets them."""

from __future__ import annotations

from tests.faults import bodies, framing, opening, reuse, statuses
from tests.faults.fault import Fault

FAULTS: dict[str, Fault] = {
    **opening.FAULTS,
    **framing.FAULTS,
    **bodies.FAULTS,
    **statuses.FAULTS,
    **reuse.FAULTS,
}
