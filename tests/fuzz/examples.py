"""Arguments that are right, by the parameter's name or for one callable alone."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from foreign_tensors import fairseq_tensors
from made_results import (
    MADE,
    made_dependency,
    made_grid,
    made_history,
    made_output_change,
    made_profile,
    made_updates,
)
from objects import (
    INSTANCES,
    batch,
    clinic_file,
    codes_file,
    config,
    data,
    decoder_layer,
    dictionary_file,
    encoder_layer,
    hidden,
    model,
    model_file,
    recorder,
    registered,
    residuals,
    saved,
    scheme,
    site,
    subwords,
    text_file,
    tokenizer_file,
    trained,
    with_gradients,
)
from surface import Public

import admin_py as ap
from admin_py.results import Result
from admin_py.schemes import Residual, Scale

SMALL = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 1, "progress": False}


ARGUMENTS: Mapping[str, Callable[[], Any]] = {
    "after": made_dependency,
    "attribute": lambda: "lr",
    "axis": lambda: "lr",
    "batch": batch,
    "before": made_dependency,
    "characters": lambda: "abc",
    "config": config,
    "d_ff": lambda: 16,
    "d_model": lambda: 8,
    "data": data,
    "decoder_layers": lambda: 1,
    "dependencies": lambda: [made_dependency(), made_dependency("post_ln")],
    "dependency": made_dependency,
    "diagnosis": MADE[ap.Diagnosis],
    "dtype": lambda: "float32",
    "dy": hidden,
    "encoder_layers": lambda: 1,
    "entropy": lambda: 2.8,
    "first": site,
    "gradients": MADE[ap.analysis.GradientNorms],
    "head_width": lambda: 3,
    "heads": lambda: 2,
    "kv_heads": lambda: 1,
    "attention_scale": lambda: 0.3,
    "score_cap": lambda: 20.0,
    "rotary_theta": lambda: None,
    "rotary_width": lambda: None,
    "rotary_interleaved": lambda: False,
    "rotary_scaling": lambda: None,
    "z_loss": lambda: 0.0,
    "attention_window": lambda: 3,
    "qk_norm": lambda: "rms",
    "qk_norm_whole": lambda: True,
    "logits_cap": lambda: 30.0,
    "embedding_norm": lambda: "layer",
    "fingerprint": lambda: "0" * 64,
    "histories": lambda: [("admin", made_history(seed=1))],
    "history": made_history,
    "i": lambda: 4,
    "ids": lambda: [4, 5, 6],
    "indices": lambda: [0, 1],
    "hypotheses": lambda: ["a man in a hat", "a cat"],
    "kind": lambda: "translation",
    "larger_is_better": lambda: True,
    "language": lambda: "en",
    "languages": lambda: ("en", "de"),
    "lengths": lambda: [2, 3],
    "linear": lambda: ap.analysis.Fit(1.0, 2.0, 0.9),
    "lines": lambda: ["a b", "b a"],
    "logits": lambda: np.ones((2, 5)),
    "loss": lambda: 1.0,
    "lr": lambda: 1e-3,
    "maps": MADE[ap.analysis.AttentionMap],
    "measure": lambda: lambda model: 1.0,
    "members": tuple,
    "memory": hidden,
    "memory_lengths": lambda: [2, 3],
    "merges": lambda: ["a b", "ab c</w>"],
    "model": with_gradients,
    "models": lambda: [model(), model()],
    "n": lambda: 1,
    "name": lambda: "admin",
    "nll": lambda: 1.0,
    "num_sublayers": lambda: 4,
    "num_tokens": lambda: 10,
    "observation": MADE[ap.Observation],
    "omega": lambda: 1.5,
    "options": lambda: {"beta1": 0.9},
    "parts": lambda: [ap.data.Sequences.from_lists([[1, 2], [3]])],
    "places": lambda: {"encoder": {}},
    "plan": MADE[ap.MemoryPlan],
    "probabilities": lambda: MADE[ap.analysis.AttentionMap]().probabilities,
    "profile": made_profile,
    "profiles": lambda: [made_profile(), made_profile("post_ln")],
    "references": lambda: ["a man in a hat", "a cat"],
    "residuals": residuals,
    "results": made_output_change,
    "rule": lambda: lambda site: Residual(),
    "scheme": lambda: "admin",
    "scores": MADE[ap.scores.Comparison],
    "seed": lambda: 3,
    "sequences": lambda: [[4, 5], [6]],
    "site": site,
    "size": lambda: 20,
    "source": lambda: [[4, 5], [6]],
    "sources": lambda: ["a man", "a cat"],
    "splits": lambda: {name: data().split(name) for name in data().splits},
    "stack": lambda: "encoder",
    "state": lambda: with_gradients().state,
    "step": lambda: 2,
    "steps": lambda: 10,
    "sublayer": lambda: "encoder.0.self_attn",
    "systems": lambda: {"a": ["a man in a hat", "a cat"], "b": ["a man", "a cat"]},
    "table": MADE[ap.GridTable],
    "tables": lambda: {"encoder": {"omega": [1.0, 1.0], "var_input": [1.0, 2.0], "var_branch": [1.0, 1.0]}},
    "target": lambda: [[4, 5], [6]],
    "targets": lambda: ["ein Mann", "eine Katze"],
    "text": lambda: ["viel@@ er", "an@@ trieb"],
    "texts": lambda: ["a b c d e f g h"] * 12,
    "tokenizer": lambda: data().tokenizer,
    "tokens": lambda: np.array([4, 5, 6], np.int32),
    "offsets": lambda: np.array([0, 2, 3]),
    "uniform": lambda: np.array([0.1, 0.9]),
    "updates": made_updates,
    "uses": MADE[ap.analysis.SourceUse],
    "values": lambda: data().vocabulary.to_dict(),
    "vocab_size": lambda: 20,
    "vocabulary": lambda: data().vocabulary,
    "warmup": lambda: 4,
    "words": lambda: ["a", "b"],
    "x": hidden,
}
"""Name of a parameter -> what makes a right value of it; those with a default need none."""


def _grid_places() -> dict[str, Any]:
    return {"x": "lr", "y": "scheme"}


def _layer() -> dict[str, Any]:
    return {"x": hidden(), "lengths": [2, 3], "memory": hidden(), "memory_lengths": [2, 3]}


SPECIAL: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    "Decoder.reorder": lambda folder: {"parents": [0, 1, 1]},
    "Decoder.step": lambda folder: {"ids": [4, 5]},
    "Decoder.top": lambda folder: {"k": 2},
    "DecoderLayer.forward": lambda folder: _layer(),
    "DecoderLayer.observe": lambda folder: _layer(),
    "DecoderLayer.profile": lambda folder: _layer(),
    "DecoderLayer.load_state": lambda folder: {"state": dict(decoder_layer().parameters)},
    "EncoderLayer.load_state": lambda folder: {"state": dict(encoder_layer().parameters)},
    "Grid.save": lambda folder: {"path": folder / "grid out"},
    "Grid.need_one": lambda folder: {},
    "Study.need_one": lambda folder: {},
    "Sample": lambda folder: {"source": "a", "expected": "b", "output": "b"},
    "Transformer.set_omega": lambda folder: {"omega": {"encoder": [1.0, 1.0]}},
    "Grid.pivot": lambda folder: _grid_places(),
    "Grid.table": lambda folder: _grid_places(),
    "Grid.plot_panels": lambda folder: {"panels": "scheme", "x": "lr", "y": "seed"},
    "GridCell.same_numbers": lambda folder: {"other": made_grid().cells[0]},
    "LivePlot.__call__": lambda folder: {"step": 1, "model": model(), "history": recorder()},
    "Observation.plot_attention": lambda folder: {"sublayer": "encoder.0.self_attn"},
    "Recorder.add_step": lambda folder: dict.fromkeys(
        ("loss", "nll", "lr", "grad_norm", "update_norm", "tokens", "seconds"), 1.0
    ),
    "Optimizer": lambda folder: {"lr": 1e-3, "options": {}},
    "Site": lambda folder: vars(site()) if hasattr(site(), "__dict__") else dataclasses.asdict(site()),
    "Study.bleu": lambda folder: {"resamples": 20},
    "Study.select": lambda folder: {"scheme": "admin"},
    "Study.of_scheme": lambda folder: {"scheme": "admin"},
    "Study.run": lambda folder: {"scheme": "admin", "seed": 1},
    "Grid.select": lambda folder: {"scheme": "admin"},
    "TrainedModel": lambda folder: {"model": model()},
    "TrainedModel.generate": lambda folder: {"texts": ["3 4"], "max_new_tokens": 2},
    "TrainedModel.translate": lambda folder: {"texts": ["3 4"], "max_new_tokens": 2},
    "Transformer.profile": lambda folder: {"batch": batch()},
    "TransformerConfig.from_dict": lambda folder: {"data": config().to_dict()},
    "TransformerConfig.replace": lambda folder: {"d_ff": 8},
    "Residual.from_dict": lambda folder: {"data": Residual().to_dict()},
    "Scale.from_dict": lambda folder: {"data": Scale().to_dict()},
    "Scheme": lambda folder: {"name": "of fuzzers", "rule": lambda site: Residual()},
    "UpdateNorms.quantity": lambda folder: {"name": "norm"},
    "analysis.UpdateNorms.quantity": lambda folder: {"name": "norm"},
    "analysis.Fits": lambda folder: dict.fromkeys(("linear", "logarithmic"), ap.analysis.Fit(1.0, 2.0, 0.9)),
    "analysis.attention": lambda folder: {"model": model(), "data": data()},
    "analysis.updates": lambda folder: {
        "source": model(),
        "data": data(),
        "optimizer": "adam",
        "steps": 1,
    },
    "data.Dataset": lambda folder: {
        "name": "d",
        "kind": "translation",
        "tokenizer": data().tokenizer,
        "splits": {name: data().split(name) for name in data().splits},
    },
    "data.Dataset.texts": lambda folder: {},
    "data.DatasetSummary": lambda folder: vars(data().describe()),
    "data.Moses.detokenize": lambda folder: {"line": "a man , too"},
    "data.Moses.tokenize": lambda folder: {"line": "A man, too"},
    "data.Moses.tokenize_file": lambda folder: {"path": text_file(folder)},
    "data.MosesTokenizer.decode": lambda folder: {"ids": [4, 5]},
    "data.SubwordCodes.learn": lambda folder: {"lines": ["low lower", "new newer"], "merges": 5},
    "data.SubwordCodes.load": lambda folder: {"path": codes_file(folder)},
    "data.SubwordCodes.segment": lambda folder: {"line": "abc ab"},
    "data.WordTokenizer.decode": lambda folder: {"ids": [4, 5]},
    "analysis.Fit": lambda folder: {"slope": 1.0, "intercept": 2.0, "r2": 0.9},
    "data.Dataset.split": lambda folder: {"name": "valid"},
    "data.Dataset.encode": lambda folder: {"lines": ["3 4"]},
    "data.SubwordTokenizer": lambda folder: {"tokenizer": subwords()._tokenizer},
    "data.SubwordTokenizer.train": lambda folder: {"lines": ["a b", "b a"], "vocab_size": 270},
    "data.Split": lambda folder: {"source": ap.data.Sequences.from_lists([[1, 2], [3]])},
    "data.copy_task": lambda folder: {"symbols": 8, "train": 20, "valid": 4},
    "data.number_words": lambda folder: {"train": 20, "valid": 4},
    "data.from_texts": lambda folder: {"texts": ["a b c d e f"] * 12, "level": "char", "valid": 0.2},
    "data.text": lambda folder: {"path": text_file(folder), "level": "char"},
    "data.parallel_text": lambda folder: {
        "source": text_file(folder),
        "target": text_file(folder),
        "pretokenized": True,
        "valid": 3,
    },
    "data.load_tokenizer": lambda folder: {"path": tokenizer_file(folder)},
    "recipes.load": lambda folder: {"name": "numbers"},
    "recipes.Recipe": lambda folder: {"name": "a recipe"},
    "recipes.Recipe.replace": lambda folder: {"model": {"layers": 2}},
    "generation.beam_search": lambda folder: {"model": model(), "sequences": [[4, 5], [6]], "max_length": 2},
    "generation.draw_from": lambda folder: {"logits": np.ones((2, 5)), "uniform": np.array([0.1, 0.9])},
    "generation.greedy": lambda folder: {"model": model(), "sequences": [[4, 5], [6]], "max_new_tokens": 2},
    "generation.sample": lambda folder: {"model": model(), "sequences": [[4, 5], [6]], "max_new_tokens": 2},
    "grid": lambda folder: {"data": data(), "scheme": "admin", "lr": 1e-3, **SMALL},
    "study": lambda folder: {"data": data(), "schemes": "admin", "bleu": {"beam": 2}, **SMALL},
    "load": lambda folder: {"path": model_file(folder)},
    "load_pretrained": lambda folder: {
        "source": fairseq_tensors(),
        "settings": {"decoder_attention_heads": 2},
    },
    "load_tokenizer_of": lambda folder: {"source": dictionary_file(folder)},
    "Transformer.load": lambda folder: {"path": model_file(folder)},
    "Study.load": lambda folder: {"folder": saved(folder, "study", MADE[ap.Study]())},
    "StudyRun.load": lambda folder: {"folder": saved(folder, "run", MADE[ap.StudyRun]())},
    "TrainedModel.load": lambda folder: {"folder": saved(folder, "trained", trained())},
    "Study.report": lambda folder: {"folder": folder / "report"},
    "Study.save": lambda folder: {"folder": folder / "study out"},
    "StudyRun.save": lambda folder: {"folder": folder / "run out"},
    "TrainedModel.save": lambda folder: {"folder": folder / "trained out"},
    "VarianceProfile.from_clinic": lambda folder: {
        "path": clinic_file(folder),
        "encoder_layers": 2,
        "decoder_layers": 2,
    },
    "plan_memory": lambda folder: {"config": config()},
    "plots.plot_history": lambda folder: {"history": made_history(valid_every=2)},
    "plots.plot_schedule": lambda folder: {"step": np.arange(1, 5), "lr": np.ones(4)},
    "plots.plot_gradient_bars": lambda folder: {"gradients": MADE[ap.analysis.GradientSpread]()},
    "plots.plot_grid_panels": lambda folder: {"tables": MADE[ap.GridTable]()},
    "plots.scheme_style": lambda folder: {"name": "admin"},
    "scores.paired_bootstrap": lambda folder: {
        "systems": ARGUMENTS["systems"](),
        "references": ARGUMENTS["references"](),
        "resamples": 20,
    },
    "schedules.from_dict": lambda folder: {"data": ap.schedules.constant(1e-3).to_dict()},
    "schedules.named": lambda folder: {"name": "cosine", "lr": 1e-3, "warmup": 4, "steps": 10},
    "schemes.register": lambda folder: {"scheme": scheme(), "replace": True},
    "schemes.unregister": lambda folder: {"name": registered()},
    "set_num_threads": lambda folder: {"n": 1},
    "torch.profile": lambda folder: {
        "module": ap.interop.torch.module(model()),
        "batch": ap.interop.torch.padded(batch())[0],
    },
    "train": lambda folder: {
        "model": model(),
        "data": data(),
        "steps": 1,
        "progress": False,
        "valid_every": 1,
        "keep": folder / "kept",
        "keep_last": 1,
        "resume": False,
    },
    **{
        f"{kind}.step": lambda folder: {"model": with_gradients()}
        for kind in ("SGD", "Adam", "AdamW", "RAdam", "NovoGrad", "Optimizer")
    },
    **{
        f"{kind}.load_state": lambda folder: {"state": {"step": 0, "m": None, "v": None}}
        for kind in ("SGD", "Adam", "AdamW", "RAdam", "NovoGrad", "Optimizer")
    },
    **{
        f"{kind}.lr=": lambda folder: {"lr": 1e-3}
        for kind in ("SGD", "Adam", "AdamW", "RAdam", "NovoGrad", "Optimizer")
    },
}
"""Callables whose arguments are their own; the folder is theirs."""


def right(callee: Public, folder: Path) -> dict[str, Any]:
    """Arguments with which the call succeeds; KeyError for a parameter that nobody gave an example of."""
    if callee.name in SPECIAL:
        return dict(SPECIAL[callee.name](folder))
    if isinstance(callee.attribute, type) and issubclass(callee.attribute, Result):
        made = MADE[callee.attribute]()
        return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    found: dict[str, Any] = {}
    for parameter in callee.parameters:
        needless = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if parameter.default is not inspect.Parameter.empty or needless:
            continue
        found[parameter.name] = _one(callee, parameter.name, folder)
    return found


def _one(callee: Public, name: str, folder: Path) -> Any:
    kind = callee.owner or getattr(callee.attribute, "__self__", None)
    is_result = isinstance(kind, type) and issubclass(kind, Result)
    if name in ("path", "folder"):
        if not callee.name.endswith(".load"):
            return folder / "out"
        path = folder / f"{callee.name}.json"
        INSTANCES[kind]().save(path)
        return path
    if name == "data" and is_result:
        return INSTANCES[kind]().to_dict()
    return ARGUMENTS[name]()


def call(callee: Public, given: Mapping[str, Any], owner: Any) -> Any:
    """The call; iterators that it returns begin."""
    if callee.name.endswith("="):
        return setattr(owner, callee.attribute, next(iter(given.values())))
    function = callee.attribute if callee.owner is None else getattr(owner, callee.attribute)
    bare = {p.name for p in callee.parameters if p.kind is p.POSITIONAL_ONLY}
    positional = [value for name, value in given.items() if name in bare]
    named = {name: value for name, value in given.items() if name not in bare}
    answer = function(*positional, **named)
    if inspect.isgenerator(answer):
        return next(answer, None)
    return answer
