"""Arguments that would do nothing."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from admin_py.base.unused import goes_with


@goes_with(seed=("a temperature", lambda given: given["temperature"] is not None))
def draw(text: str, *, temperature: float | None = None, seed: int = 0) -> tuple[Any, ...]:
    """Draw something."""
    return text, temperature, seed


def test_what_is_used_or_the_default_is_taken() -> None:
    assert draw("a", temperature=1.0, seed=3) == ("a", 1.0, 3)
    assert draw("a", seed=0) == ("a", None, 0)


def test_what_would_do_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^seed goes with a temperature, got seed=3 without$"):
        draw("a", seed=3)


class HasNoTruth:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("of its own")


def test_a_value_that_cannot_be_compared_is_not_the_default() -> None:
    with pytest.raises(ValueError, match="seed goes with a temperature"):
        draw("a", seed=HasNoTruth())


@pytest.mark.parametrize(("arguments", "options"), [((), {}), (("a", "b"), {}), (("a",), {"sed": 1})])
def test_a_call_that_cannot_be_made_is_told_of_as_any_other(
    arguments: tuple[str, ...], options: dict[str, int]
) -> None:
    with pytest.raises(TypeError, match=r"^draw\(\) "):
        draw(*arguments, **options)


def test_the_function_looks_as_before() -> None:
    assert draw.__doc__ == "Draw something."
    assert draw.__name__ == "draw"
    assert list(inspect.signature(draw).parameters) == ["text", "temperature", "seed"]
