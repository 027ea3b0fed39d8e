"""The attention map of an example: the observed probabilities, the tokens they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import admin_py as ap
from admin_py.analysis import AttentionMap, attention

SIZES = {"d_model": 8, "heads": 2, "d_ff": 16}


@pytest.fixture(scope="module")
def pairs() -> ap.data.Dataset:
    return ap.data.number_words(train=50, valid=20)


def model_of(data: ap.data.Dataset, encoder: int, decoder: int, **more) -> ap.Transformer:
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=encoder, decoder_layers=decoder, **SIZES, **more
    )
    return ap.Transformer(config, seed=1, dtype="float64")


def test_it_is_what_is_observed_of_the_last_cross_attention(pairs) -> None:
    model = model_of(pairs, 1, 3)
    found = attention(model, pairs, longest=13)
    number = found.metadata["example"]
    split = pairs.split("valid")
    one = np.array([number])
    batch = ap.Batch(split.source.take(one), split.target.take(one))
    name = "decoder.2.cross_attn.probabilities"
    seen = model.observe(batch, activations=name)[name][0]
    assert found.sublayer == "decoder.2.cross_attn"
    np.testing.assert_array_equal(found.probabilities, seen.mean(axis=0))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-12)
    source, target = pairs.pairs("valid")[number]
    assert pairs.decode(pairs.encode(source)) == source
    assert found.keys[-1] == "<end>"
    assert found.queries[0] == "<begin>"
    assert "".join(found.keys[:-1]) == "".join(source.replace("-", "").split())
    assert "".join(found.queries[1:]) == "".join(target.split())


def test_the_example_is_the_first_that_is_short_enough(pairs) -> None:
    model = model_of(pairs, 1, 1)
    split = pairs.split("valid")
    lengths = np.maximum(split.source.lengths, split.target.lengths - 1)  # with end, or with beginning
    assert len(set(lengths)) > 2
    for longest in sorted(set(lengths)):
        found = attention(model, pairs, longest=int(longest))
        assert found.metadata["example"] == np.argmax(lengths <= longest)
        assert max(found.probabilities.shape) == lengths[found.metadata["example"]]


def test_where_none_is_short_enough_the_first_is_cut(pairs) -> None:
    found = attention(model_of(pairs, 1, 1), pairs, longest=2)
    assert found.metadata["example"] == 0
    assert found.probabilities.shape == (2, 2)
    assert found.queries[0] == "<begin>"


def test_a_language_model_has_its_self_attention_and_visible_signs(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("to be or not to be\n" * 40, encoding="utf-8")
    data = ap.data.text(book, level="char", context=32)
    found = attention(model_of(data, 0, 2), data)
    assert found.sublayer == "decoder.1.self_attn"
    rows, columns = found.probabilities.shape
    assert rows == columns <= 16
    assert not np.triu(found.probabilities, 1).any(), "nothing is seen of what comes later"
    assert found.queries == found.keys
    assert "␣" in found.keys
    assert all(key.strip() for key in found.keys)


def test_table_and_file_hold_it_all(pairs, tmp_path: Path) -> None:
    found = attention(model_of(pairs, 1, 1), pairs)
    table = found.to_dataframe()
    assert len(table) == found.probabilities.size
    row = table.iloc[-1]
    assert (row["query"], row["key"]) == (found.queries[-1], found.keys[-1])
    assert row["probability"] == found.probabilities[-1, -1]
    found.save(tmp_path / "map.json")
    assert AttentionMap.load(tmp_path / "map.json") == found


def test_weights_and_other_passes_are_left_alone(pairs) -> None:
    model = model_of(pairs, 1, 1)
    before = {name: value.copy() for name, value in model.parameters.items()}
    first = attention(model, pairs)
    assert attention(model, pairs) == first
    assert all(np.array_equal(before[name], value) for name, value in model.parameters.items())


def test_bad_arguments_are_refused(pairs) -> None:
    model = model_of(pairs, 1, 1)
    with pytest.raises(ValueError, match="split must be one of"):
        attention(model, pairs, split="test")
    with pytest.raises(ValueError, match="longest must be"):
        attention(model, pairs, longest=1)
