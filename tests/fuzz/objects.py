"""Objects and files that the examples of the fuzzer are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from made_bleu import translated
from made_results import (
    MADE,
    made_profile,
    made_study,
)

import admin_py as ap
from admin_py.data.subwords import SubwordTokenizer
from admin_py.experiments.trained import TrainedModel
from admin_py.schemes import Residual, Scale, Scheme, Site
from admin_py.training.optimizers import Optimizer


@cache
def data() -> ap.data.Dataset:
    return ap.data.copy_task(symbols=8, train=40, valid=8, test=8, seed=1)


@cache
def texts() -> ap.data.Dataset:
    return ap.data.from_texts(
        ["a man in a hat", "a cat on a mat", "a man and a cat"] * 5, level="char", valid=0.2
    )


@cache
def config(**changes: Any) -> ap.TransformerConfig:
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 8, "heads": 2, "d_ff": 16, "max_length": 32}
    return ap.TransformerConfig(vocab_size=data().vocab_size, **{**sizes, **changes})


def model() -> ap.Transformer:
    return ap.Transformer(config(scheme="post_ln"), seed=1)


def with_gradients() -> ap.Transformer:
    one = model()
    one.backward(batch())
    return one


def batch() -> ap.Batch:
    return next(data().batches(max_tokens=64, seed=1))


def encoder_layer() -> ap.EncoderLayer:
    return ap.EncoderLayer(8, 2, 16, seed=1)


def decoder_layer() -> ap.DecoderLayer:
    return ap.DecoderLayer(8, 2, 16, seed=1)


def run_encoder() -> ap.EncoderLayer:
    layer = encoder_layer()
    layer.forward(hidden(), [2, 3])
    return layer


def run_decoder() -> ap.DecoderLayer:
    layer = decoder_layer()
    layer.forward(hidden(), [2, 3], hidden(), [2, 3])
    return layer


def hidden() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)


def recorder() -> ap.Recorder:
    one = ap.Recorder()
    one.add_step(loss=1.0, nll=1.0, lr=1e-3, grad_norm=1.0, update_norm=0.1, tokens=10, seconds=0.1)
    return one


def scheme() -> Scheme:
    return Scheme("a scheme of fuzzers", lambda site: Residual(norm_post="layer"))


def site() -> Site:
    return config(scheme="post_ln").sites("encoder")[0]


def residuals() -> dict[str, tuple[Residual, ...]]:
    return {"encoder": (Residual(norm_post="layer"),) * 2}


@cache
def subwords() -> SubwordTokenizer:
    return SubwordTokenizer.train(["a man in a hat", "a cat on a mat"], vocab_size=270)


@cache
def codes() -> ap.data.SubwordCodes:
    return ap.data.SubwordCodes(["a b", "ab c</w>"])


@cache
def moses() -> ap.data.MosesTokenizer:
    return ap.data.MosesTokenizer(["a", "b"], ("en", "de"), codes=codes())


def trained() -> TrainedModel:
    return TrainedModel(model(), data().tokenizer)


@cache
def two_schemes() -> ap.Study:
    return translated(made_study({"post_ln": [0.6], "admin": [0.5, None]}))


INSTANCES: Mapping[type, Callable[[], Any]] = {
    **MADE,
    ap.Study: two_schemes,
    ap.Transformer: with_gradients,
    ap.TransformerConfig: config,
    ap.EncoderLayer: run_encoder,
    ap.DecoderLayer: run_decoder,
    ap.Batch: batch,
    ap.Decoder: lambda: with_gradients().decoder(ap.Batch([[4, 5], [6]])),
    ap.LivePlot: ap.LivePlot,
    ap.Monitor: lambda: ap.Monitor("ones", lambda model: 1.0, larger_is_better=True),
    ap.Recorder: recorder,
    ap.SGD: lambda: ap.SGD(0.1),
    ap.Adam: ap.Adam,
    ap.AdamW: ap.AdamW,
    ap.RAdam: ap.RAdam,
    ap.NovoGrad: ap.NovoGrad,
    Optimizer: ap.Adam,
    Residual: Residual,
    Scale: Scale,
    Scheme: scheme,
    Site: site,
    TrainedModel: trained,
    ap.recipes.Recipe: lambda: ap.recipes.load("numbers"),
    ap.schemes.Table: lambda: ap.schemes.Table(residuals()),
    ap.analysis.Fit: lambda: ap.analysis.Fit(1.0, 2.0, 0.9),
    ap.data.Dataset: data,
    ap.data.Vocabulary: lambda: data().vocabulary,
    ap.data.DatasetSummary: lambda: data().describe(),
    ap.data.Sequences: lambda: ap.data.Sequences.from_lists([[1, 2], [3]]),
    ap.data.Split: lambda: data().split("valid"),
    ap.data.CharacterTokenizer: lambda: texts().tokenizer,
    ap.data.NumberTokenizer: ap.data.NumberTokenizer,
    ap.data.SubwordTokenizer: subwords,
    ap.data.Moses: lambda: ap.data.Moses("en"),
    ap.data.MosesTokenizer: moses,
    ap.data.SubwordCodes: codes,
    ap.data.WordTokenizer: lambda: ap.data.WordTokenizer(["a", "b"]),
    ap.schedules.Schedule: lambda: ap.schedules.constant(1e-3),
    ap.schedules.Decay: lambda: ap.schedules.linear(1e-3, 4, steps=10),
    ap.schedules.constant: lambda: ap.schedules.constant(1e-3),
    ap.schedules.inverse_sqrt: lambda: ap.schedules.inverse_sqrt(1e-3, 4),
    ap.schedules.linear: lambda: ap.schedules.linear(1e-3, 4, steps=10),
    ap.schedules.cosine: lambda: ap.schedules.cosine(1e-3, 4, steps=10),
    ap.schedules.polynomial: lambda: ap.schedules.polynomial(1e-3, 4, steps=10),
}
"""Class -> what makes an object of it whose methods may be called."""


def text_file(folder: Path) -> Path:
    path = folder / "text.txt"
    path.write_text("a b c d e f\n" * 60, encoding="utf-8")
    return path


def tokenizer_file(folder: Path) -> Path:
    path = folder / "tokenizer.json"
    subwords().save(path)
    return path


def codes_file(folder: Path) -> Path:
    path = folder / "codes"
    codes().save(path)
    return path


def model_file(folder: Path) -> Path:
    path = folder / "model.safetensors"
    if not path.exists():
        model().save(path)
    return path


def dictionary_file(folder: Path) -> Path:
    """Of fairseq."""
    path = folder / "dict.txt"
    path.write_text("a 3\ncat 1\n", encoding="utf-8")
    return path


def clinic_file(folder: Path) -> Path:
    path = folder / "profile.txt"
    made_profile().to_clinic(path)
    return path


def saved(folder: Path, name: str, what: Any) -> Path:
    if not (folder / name).exists():
        what.save(folder / name)
    return folder / name


def registered() -> str:
    one = scheme()
    ap.schemes.register(one, replace=True)
    return one.name
