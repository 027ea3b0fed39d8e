"""Arguments that would do nothing."""

import inspect

import pytest

import admin_py as ap
from admin_py.base.unused import goes_with


@goes_with(seed=("a temperature", lambda given: given["temperature"] is not None))
def draw(text, *, temperature=None, seed=0):
    """Draw something."""
    return text, temperature, seed


def test_what_is_used_or_the_default_is_taken():
    assert draw("a", temperature=1.0, seed=3) == ("a", 1.0, 3)
    assert draw("a", seed=0) == ("a", None, 0)


def test_what_would_do_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^seed goes with a temperature, got seed=3 without$"):
        draw("a", seed=3)


class HasNoTruth:
    def __eq__(self, other):
        raise RuntimeError("of its own")


def test_a_value_that_cannot_be_compared_is_not_the_default():
    with pytest.raises(ValueError, match="seed goes with a temperature"):
        draw("a", seed=HasNoTruth())


@pytest.mark.parametrize(("arguments", "options"), [((), {}), (("a", "b"), {}), (("a",), {"sed": 1})])
def test_a_call_that_cannot_be_made_is_told_of_as_any_other(arguments, options):
    with pytest.raises(TypeError, match=r"^draw\(\) "):
        draw(*arguments, **options)


def test_the_function_looks_as_before():
    assert draw.__doc__ == "Draw something."
    assert draw.__name__ == "draw"
    assert list(inspect.signature(draw).parameters) == ["text", "temperature", "seed"]


@pytest.fixture(scope="module")
def trained():
    data = ap.data.copy_task(symbols=8, train=8, valid=2, test=2, seed=1)
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 8, "heads": 2, "d_ff": 16}
    return ap.TrainedModel(
        ap.Transformer(ap.TransformerConfig(vocab_size=data.vocab_size, **sizes), seed=1), data.tokenizer
    )


@pytest.mark.parametrize(("name", "value"), [("seed", 3), ("top_k", 2)])
def test_a_draw_s_arguments_need_a_temperature(trained, name, value):
    for call in (trained.generate, trained.translate):
        with pytest.raises(ValueError, match=f"^{name} goes with a temperature"):
            call("a b", **{name: value})
