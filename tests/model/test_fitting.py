"""A model keeps of which vocabulary its ids are, and takes no data of another one."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

import admin_py as ap
from admin_py.base import tensors
from admin_py.data import SubwordTokenizer, WordTokenizer
from admin_py.model import files
from admin_py.model.fitting import check_fits
from admin_py.training.checkpoint import load_model

FIRST = [("ka lo", "mi ren"), ("tu sha pol", "ka mi"), ("lo lo", "sha"), ("pol", "ren ka tu")] * 8
SECOND = [tuple(side.translate(str.maketrans("kltspr", "xqbdvz")) for side in pair) for pair in FIRST]


def pairs(texts, **options):
    options = {"pretokenized": True, "valid": 4, **options}
    return ap.data.from_texts(texts, **options)


def model_for(data, **changes):
    layers = {"encoder_layers": 1, "decoder_layers": 1}
    if data.kind == "language_model":
        layers = {"encoder_layers": 0, "decoder_layers": 1}
    config = {"vocab_size": data.vocab_size, "d_model": 8, "heads": 2, "d_ff": 16, **layers, **changes}
    return ap.Transformer(ap.TransformerConfig(**config), seed=1)


def trained(data, tmp_path=None, **changes):
    model = model_for(data, **changes)
    kept = None if tmp_path is None else tmp_path / "run.ckpt"
    ap.train(model, data, steps=1, lr=1e-3, max_tokens=64, checkpoint=kept, progress=False)
    return model


def test_a_training_leaves_its_vocabulary_with_the_model():
    data = pairs(FIRST)
    model = model_for(data)
    assert model.vocabulary is None
    ap.train(model, data, steps=1, lr=1e-3, max_tokens=64, progress=False)
    assert model.vocabulary == data.vocabulary
    assert model.vocabulary.size == data.vocab_size
    assert model.vocabulary.name == "texts"


def test_data_of_another_vocabulary_are_refused_though_they_have_as_many_ids():
    data, other = pairs(FIRST), pairs(SECOND)
    assert data.vocab_size == other.vocab_size
    model = trained(data)
    before = model.state
    digits = other.vocabulary.fingerprint[:8]
    told = rf"{other.vocab_size} ids of 'texts' \({digits}\), than the model, .*None"
    for call in (
        lambda: ap.train(model, other, steps=1, lr=1e-3, max_tokens=64, progress=False),
        lambda: ap.analysis.attention(model, other),
        lambda: ap.analysis.source_use(model, other),
        lambda: ap.analysis.updates(model, other, optimizer="adam", steps=1, max_tokens=64),
    ):
        with pytest.raises(ValueError, match=told):
            call()
    assert all((before[name] == value).all() for name, value in model.state.items())
    model.vocabulary = None
    ap.train(model, other, steps=1, lr=1e-3, max_tokens=64, progress=False)
    assert model.vocabulary == other.vocabulary


def test_a_checkpoint_of_another_vocabulary_is_refused_though_the_ids_are_the_same(tmp_path):
    data, other = pairs(FIRST), pairs([tuple(map(str.upper, pair)) for pair in FIRST])
    assert data.fingerprint == other.fingerprint
    trained(data, tmp_path)
    before = (tmp_path / "run.ckpt").read_bytes()
    told = rf"another training: its vocabulary is .*{data.vocabulary.fingerprint[:8]}.*, not .*"
    with pytest.raises(ValueError, match=told + other.vocabulary.fingerprint[:8]):
        trained(other, tmp_path)
    assert (tmp_path / "run.ckpt").read_bytes() == before


def test_other_text_in_the_same_vocabulary_is_taken():
    data = pairs(FIRST)
    model = trained(data)
    other = pairs([(b, a) for a, b in FIRST], tokenizer=data.tokenizer)
    assert other.fingerprint != data.fingerprint
    ap.train(model, other, steps=1, lr=1e-3, max_tokens=64, progress=False)
    assert model.vocabulary == data.vocabulary


def test_kinds_must_fit_and_an_encoder_reads_either():
    sentences, text = pairs(FIRST), ap.data.from_texts([" ".join(a for a, _ in FIRST)], context=8)
    for data, other in ((sentences, text), (text, sentences)):
        with pytest.raises(ValueError, match=f"data must be of kind '{data.kind}' .* got '{other.kind}'"):
            check_fits(model_for(data, vocab_size=99), other)
        check_fits(model_for(sentences, vocab_size=99, decoder_layers=0), data)
    with pytest.raises(ValueError, match="ids in its vocabulary, model only 9"):
        check_fits(model_for(sentences, vocab_size=9), sentences)


def test_a_vocabulary_stays_with_the_model_wherever_it_goes(tmp_path):
    data = pairs(FIRST)
    model = trained(data, tmp_path)
    model.save(tmp_path / "model.safetensors")
    others = {
        "copy": copy.copy(model),
        "deep copy": copy.deepcopy(model),
        "other dtype": model.copy(dtype="float64"),
        "pickle": pickle.loads(pickle.dumps(model)),
        "file": ap.Transformer.load(tmp_path / "model.safetensors"),
        "checkpoint": load_model(tmp_path / "run.ckpt"),
        "any file": ap.load(tmp_path / "run.ckpt"),
        "folded": model.reparameterise(),
    }
    for how, other in others.items():
        assert other.vocabulary == data.vocabulary, how


def test_a_file_without_a_vocabulary_is_of_a_model_that_takes_any(tmp_path):
    data = pairs(FIRST)
    model_for(data).save(tmp_path / "made.safetensors")
    made = ap.load(tmp_path / "made.safetensors")
    assert made.vocabulary is None
    check_fits(made, data)
    check_fits(made, pairs(SECOND))


@pytest.mark.parametrize(
    "told",
    [
        "no JSON",
        "[" * 99_999,
        "3",
        "{}",
        json.dumps({"kind": "translation", "size": "9", "fingerprint": "", "name": ""}),
        json.dumps({"kind": "translation", "size": 9, "fingerprint": "", "name": "", "more": 1}),
        json.dumps({"kind": "translation", "size": 10**9, "fingerprint": "", "name": ""}),
    ],
)
def test_a_damaged_vocabulary_in_a_file_names_the_file(tmp_path, told):
    model = model_for(pairs(FIRST))
    path = tmp_path / "model.safetensors"
    model.save(path)
    header, state = tensors.read(path, tensors.MODEL)
    kept = {name: value for name, value in header.items() if name not in ("format", "version")}
    tensors.write(path, tensors.MODEL, state, {**kept, "vocabulary": told})
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        ap.Transformer.load(path)


@pytest.mark.parametrize("value", [3, "abc", {"kind": "translation"}])
def test_what_is_no_vocabulary(value):
    model = model_for(pairs(FIRST))
    with pytest.raises(TypeError, match=r"vocabulary must be such as data\.vocabulary, or None, got"):
        model.vocabulary = value


def test_a_vocabulary_larger_than_the_model_is_none_of_its_own():
    data = pairs(FIRST)
    with pytest.raises(ValueError, match=f"vocabulary has {data.vocab_size} ids, the model only 9"):
        model_for(data, vocab_size=9).vocabulary = data.vocabulary


def test_a_trained_model_with_another_tokenizer_is_refused(tmp_path):
    data, other = pairs(FIRST), pairs(SECOND)
    model = trained(data)
    ap.TrainedModel(model, data.tokenizer).save(tmp_path)
    other.tokenizer.save(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match=r"tokenizer\.json' is damaged, or not that of the model"):
        ap.load(tmp_path)
    with pytest.raises(ValueError, match="tokenizer is another than that of the model, which knows"):
        ap.TrainedModel(model, other.tokenizer)
    model.vocabulary = None
    assert ap.TrainedModel(model, other.tokenizer).tokenizer == other.tokenizer


def test_fingerprints_follow_pieces_and_their_order():
    assert WordTokenizer(["a", "b"]).fingerprint == WordTokenizer(["a", "b"]).fingerprint
    assert WordTokenizer(["a", "b"]).fingerprint != WordTokenizer(["b", "a"]).fingerprint
    assert WordTokenizer(["a,", "b"]).fingerprint != WordTokenizer(["a", ",b"]).fingerprint
    learned = SubwordTokenizer.train([a for a, _ in FIRST], vocab_size=270)
    assert learned.fingerprint == pickle.loads(pickle.dumps(learned)).fingerprint
    assert learned.fingerprint != SubwordTokenizer.train([a for a, _ in SECOND], vocab_size=270).fingerprint


def test_old_files_have_no_vocabulary():
    assert files.vocabulary_in({"config": "{}"}) is None
