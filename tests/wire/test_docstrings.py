"""What a docstring says of parameters is found in each of the common styles."""

from __future__ import annotations

import pytest

from ollameter.wire.docstrings import read_docstring

GOOGLE = """Tell the weather.

    In a city, now.

    Args:
        city (str, optional): Where: the name
            of the city.

        days: How many.
        *rest: What else.
        silent

    Returns:
        days: not a parameter.
    """
NUMPY = """Tell the weather.

    In a city, now.

    Parameters
    ----------
    city : str
        Where: the name
        of the city.
    days : int, optional
        How many.

        In all.
    silent

    Returns
    -------
    str
        What it is like.
    """
REST = """Tell the weather.

    In a city, now.

    :param city: Where: the name
        of the city.
    :type city: str
    :param int days: How many.
    :param silent:
    :returns: What it is like.
    """


@pytest.mark.parametrize(
    ("text", "days"), [(GOOGLE, "How many."), (NUMPY, "How many. In all."), (REST, "How many.")]
)
def test_parameters_are_described_in_three_styles(text: str, days: str) -> None:
    """Over several lines too; sections about anything else are none of the description."""
    what, said = read_docstring(text)

    assert what == "Tell the weather. In a city, now."
    assert {name: said[name] for name in ("city", "days")} == {
        "city": "Where: the name of the city.",
        "days": days,
    }
    assert "silent" not in said


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, ""),
        ("", ""),
        ("Do it.", "Do it."),
        ("Do it: now.\n\nNote that this is prose.", "Do it: now. Note that this is prose."),
        ("Args:\n    x: The one.", ""),
    ],
)
def test_a_docstring_without_parameters_says_what_is_done(text: str | None, what: str) -> None:
    """Nothing, a line, or a paragraph; a colon within it changes nothing."""
    assert read_docstring(text)[0] == what
