"""The table of configurations that every proof runs over: each names what it covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from reference.naming import kinds
from reference.ragged import Batch, offsets_of

from admin_py.model.config import ACTIVATIONS, BIASES

LENGTHS = ((3, 1, 7), (5, 2, 4))  # source and target, a sequence of one token among them
NORMS = ("layer", "rms", "dyt")
PLACES = ("norm_pre", "norm_branch", "norm_post", "norm_inner")


def scale(
    kind: str = "none", *, trained: bool = True, shared: bool = False, value: float = 1.0
) -> dict[str, Any]:
    """An omega or alpha."""
    return {"kind": kind, "trained": trained and kind != "none", "shared": shared, "value": value}


def sublayer(**fields: Any) -> dict[str, Any]:
    """One sub-layer's fields; a plain residual where nothing is said."""
    plain = {
        "norm_pre": "none", "norm_branch": "none", "norm_post": "none", "norm_inner": "none",
        "residual_normed": False, "parallel": False, "profiled": False, "input_scale": 1.0, "kappa": 0.0,
        "omega": scale(), "alpha": scale(), "init": "xavier_uniform", "qkv_fused_init": True,
        "gains": {"q": 1.0, "k": 1.0, "v": 1.0, "out": 1.0, "fc1": 1.0, "fc2": 1.0}, "window": 0,
    }  # fmt: skip
    unknown = set(fields) - set(plain)
    assert not unknown, unknown
    return plain | fields


def rotary(**fields: Any) -> dict[str, Any]:
    """How rotary positions turn; by angles of base 10000 in halves where nothing is said."""
    plain: dict[str, Any] = {
        "theta": 0.0, "width": 0, "interleaved": False, "factor": 0.0, "low_frequency_factor": 0.0,
        "high_frequency_factor": 0.0, "original_length": 0,
    }  # fmt: skip
    unknown = set(fields) - set(plain)
    assert not unknown, unknown
    return plain | fields


LLAMA_3 = {"factor": 8.0, "low_frequency_factor": 1.0, "high_frequency_factor": 4.0, "original_length": 16}


def attention(**fields: Any) -> dict[str, Any]:
    """How all attention reads; heads of D / H features with keys of their own where nothing is said."""
    plain: dict[str, Any] = {
        "head_width": 0,
        "kv_heads": 0,
        "scale": 0.0,
        "score_cap": 0.0,
        "qk_norm": "none",
        "qk_norm_whole": False,
        "rotary": rotary(),
    }
    unknown = set(fields) - set(plain)
    assert not unknown, unknown
    return plain | fields


def stack(
    layers: int,
    subs: dict[str, Any] | Sequence[dict[str, Any]],
    *,
    causal: bool = False,
    cross: bool = False,
    norm_embedding: str = "none",
    norm_final: str = "none",
    input_scale: str = "none",
    embedding_gain: float = 1.0,
) -> dict[str, Any]:
    """A stack; ``subs`` are the fields of all sub-layers, or a list that is repeated along the stack."""
    made: dict[str, Any] = {
        "layers": layers, "causal": causal, "cross": cross, "norm_embedding": norm_embedding,
        "norm_final": norm_final, "input_scale": input_scale, "embedding_gain": embedding_gain,
        "sublayers": [],
    }  # fmt: skip
    row = [subs] if isinstance(subs, dict) else list(subs)
    count = layers * len(kinds(made))
    made["sublayers"] = [sublayer(**row[i % len(row)]) for i in range(count)]
    return made


def windowed(made: dict[str, Any], *windows: int) -> dict[str, Any]:
    """The same with windows of self-attention, in turn from layer to layer; 0 is none."""
    for name in ("encoder", "decoder"):
        per_layer = len(kinds(made[name]))
        for i, row in enumerate(made[name]["sublayers"]):
            if i % per_layer == 0:
                row["window"] = windows[i // per_layer % len(windows)]
    return made


def config(
    subs: dict[str, Any] | Sequence[dict[str, Any]],
    *,
    encoder: int = 1,
    decoder: int = 1,
    decoder_subs: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
    stacks: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A whole configuration; ``stacks`` goes to both stacks, ``fields`` are the model's own."""
    base: dict[str, Any] = {
        "vocab_size": 11, "d_model": 12, "heads": 3, "d_ff": 10, "max_length": 16, "activation": "relu",
        "gated": False, "bias": "all", "output_bias": False, "logits_scale": 1.0,
        "positions": "sinusoidal", "share_embeddings": "all", "dropout": 0.0, "attention_dropout": 0.0,
        "activation_dropout": 0.0, "norm_eps": 1e-5, "embedding_scale": 0.0, "attention": attention(),
        "logits_cap": 0.0,
    }  # fmt: skip
    unknown = set(fields) - set(base)
    assert not unknown, unknown
    both = stacks or {}
    return base | fields | {
        "encoder": stack(encoder, subs, **both),
        "decoder": stack(decoder, decoder_subs or subs, **({"causal": True, "cross": bool(encoder)} | both)),
    }  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A configuration and the lengths of a batch for it."""

    name: str
    config: dict[str, Any] = field(repr=False)
    source_lengths: tuple[int, ...] = LENGTHS[0]
    target_lengths: tuple[int, ...] = LENGTHS[1]

    def batch(self, seed: int = 0) -> Batch:
        """Random tokens of the lengths."""
        rng = np.random.default_rng(seed)
        V = self.config["vocab_size"]

        def tokens(lengths: tuple[int, ...]) -> np.ndarray:
            return rng.integers(0, V, sum(lengths)).astype(np.int32)

        if self.config["encoder"]["layers"] and self.config["decoder"]["layers"]:
            source, target = tokens(self.source_lengths), tokens(self.target_lengths)
            return Batch(source, offsets_of(self.source_lengths), target, offsets_of(self.target_lengths))
        lengths = self.source_lengths if self.config["encoder"]["layers"] else self.target_lengths
        return Batch(tokens(lengths), offsets_of(lengths))


POST = {"norm_post": "layer"}
PRE = {"norm_pre": "layer"}
ADMIN = {"norm_post": "layer", "omega": scale("vector"), "profiled": True}
PARALLEL = {"norm_pre": "layer", "parallel": True}
FINAL = {"norm_final": "layer"}
PLAIN: dict[str, Any] = {}


def _norm_cases() -> list[Case]:
    """Every norm in every place, and all places at once."""
    cases = [Case(f"{norm} at {place}", config({place: norm})) for norm in NORMS for place in PLACES]
    cases += [Case(f"{norm} at the end", config(PRE, stacks={"norm_final": norm})) for norm in NORMS]
    everywhere = [dict(zip(PLACES, np.roll((*NORMS, "layer"), k).tolist(), strict=True)) for k in range(3)]
    cases.append(
        Case(
            "gated, norms everywhere", config(everywhere, encoder=2, decoder=2, activation="silu", gated=True)
        )
    )
    cases.append(Case("norms everywhere", config(everywhere, encoder=2, decoder=2, activation="gelu")))
    return cases


def _field_cases() -> list[Case]:
    """Every field of the residual formula."""
    both = {"norm_pre": "rms", "norm_post": "layer"}
    cases = [
        Case("plain", config(PLAIN)),
        Case("residual_normed", config({"residual_normed": True, **both})),
        Case(
            "residual_normed with omega", config({"residual_normed": True, "omega": scale("vector"), **PRE})
        ),
        Case("input_scale s", config({"input_scale": 0.6, **PRE}, encoder=2)),
        Case("input_scale s without norm", config({"input_scale": 0.6, "norm_post": "layer"})),
        Case("kappa", config([{"kappa": 0.0, **POST}, {"kappa": 0.8, **POST}], encoder=2, decoder=2)),
        Case("kappa everywhere", config({"kappa": 0.5, **PRE}, encoder=2, decoder=2)),
        Case("parallel", config([PRE, PRE | {"parallel": True}], encoder=2, decoder=0)),
        Case("parallel, language model", config([PRE, PARALLEL], encoder=0, decoder=3, stacks=FINAL)),
        Case("parallel everywhere", config(PARALLEL | {"input_scale": 0.6}, encoder=2, decoder=2)),
        Case("parallel, norms after sums", config([POST, {"parallel": True, **POST}], encoder=3, decoder=2)),
        Case(
            "parallel with kappa and omega",
            config([ADMIN, PARALLEL | {"kappa": 0.7, "omega": scale("vector")}], encoder=0, decoder=3),
        ),
        Case("mixed stack", config([POST, PRE, ADMIN, {"alpha": scale("scalar")}], encoder=3, decoder=3)),
    ]
    for kind in ("scalar", "vector"):
        for trained in (True, False):
            word = "trained" if trained else "fixed"
            omega, alpha = scale(kind, trained=trained), scale(kind, trained=trained, value=0.5)
            cases.append(Case(f"omega {kind} {word}", config({"omega": omega, **POST}, encoder=2)))
            cases.append(Case(f"alpha {kind} {word}", config({"alpha": alpha, **PRE}, encoder=2)))
        shared = scale(kind, shared=True)
        cases.append(Case(f"alpha {kind} shared", config({"alpha": shared}, encoder=2, decoder=2)))
        cases.append(
            Case(f"alpha, branch norm {kind}", config({"alpha": scale(kind), "norm_branch": "layer"}))
        )
        cases.append(Case(f"stack input_scale {kind}", config(POST, stacks={"input_scale": kind})))
    for norm in NORMS:
        cases.append(Case(f"{norm} on embeddings", config(POST, stacks={"norm_embedding": norm})))
    full = {
        "norm_pre": "layer", "norm_branch": "rms", "norm_post": "dyt", "norm_inner": "layer", "kappa": 0.3,
        "residual_normed": True, "input_scale": 0.7, "omega": scale("vector"),
        "alpha": scale("vector", shared=True),
    }  # fmt: skip
    ends = {"norm_embedding": "layer", "norm_final": "rms", "input_scale": "vector"}
    cases.append(Case("every field", config(full, encoder=2, decoder=2, stacks=ends, positions="learned")))
    return cases


def _model_cases() -> list[Case]:
    """Kinds of model, shared embeddings, positions, activations, shapes."""
    cases = [
        Case(f"share {s}", config(POST, share_embeddings=s)) for s in ("none", "decoder", "inputs", "all")
    ]
    cases += [
        Case(
            f"language model, share {s}", config(PRE, encoder=0, decoder=2, stacks=FINAL, share_embeddings=s)
        )
        for s in ("none", "decoder", "inputs", "all")
    ]
    one = ((1,), (2,))
    return [
        *cases,
        Case("learned positions", config(POST, positions="learned", share_embeddings="none")),
        Case("learned positions, language model", config(POST, encoder=0, positions="learned")),
        Case("embedding_scale", config(PRE, embedding_scale=1.0, positions="learned", stacks=FINAL)),
        Case(
            "norm on embeddings, as BART",
            config(POST, positions="learned", embedding_scale=1.0, stacks={"norm_embedding": "layer"}),
        ),
        Case(
            "norm on embeddings, Admin language model",
            config(ADMIN, encoder=0, decoder=2, stacks={"norm_embedding": "layer"}),
        ),
        Case("embedding_scale, language model", config(PRE, encoder=0, embedding_scale=0.3)),
        *(Case(name, config(POST, activation=name)) for name in ACTIVATIONS if name != "relu"),
        *(
            Case(f"gated {name}", config(PRE, stacks=FINAL, activation=name, gated=True))
            for name in ACTIVATIONS
        ),
        Case(
            "gated, admin language model", config(ADMIN, encoder=0, decoder=3, activation="silu", gated=True)
        ),
        *(
            Case(f"bias {b}", config(PRE, stacks=FINAL, bias=b, gated=b == "none"))
            for b in BIASES
            if b != "all"
        ),
        Case("bias none, admin language model", config(ADMIN, encoder=0, decoder=3, bias="none")),
        Case("output bias", config(POST, output_bias=True, logits_scale=0.7)),
        Case(
            "output bias, shared none",
            config(POST, output_bias=True, logits_scale=1.5, share_embeddings="none"),
        ),
        Case("causal encoder", config(POST, stacks={"causal": True, "cross": False}, decoder=0)),
        Case("post 3-2", config(POST, encoder=3, decoder=2)),
        Case("pre 2-3", config(PRE, encoder=2, decoder=3, stacks=FINAL)),
        Case("admin 3-3", config(ADMIN, encoder=3, decoder=3)),
        Case(
            "some omegas profiled", config([ADMIN, ADMIN | {"profiled": False}, ADMIN], encoder=3, decoder=2)
        ),
        Case("admin language model", config(ADMIN, encoder=0, decoder=3)),
        Case("post encoder, pre decoder", config(POST, decoder_subs=PRE, encoder=2, decoder=2)),
        Case("one head", config(POST, heads=1, d_model=7, d_ff=5)),
        Case("heads of one feature", config(PRE, heads=6, d_model=6, d_ff=9)),
        Case("width 1", config(PLAIN, heads=1, d_model=1, d_ff=1)),
        Case("odd width 33", config(POST, heads=3, d_model=33, d_ff=47, vocab_size=29)),
        Case("width 64", config(ADMIN, heads=4, d_model=64, d_ff=128, vocab_size=131)),
        Case("one token each", config(POST), *one),
        Case("two words", config(POST, vocab_size=2)),
        Case("longer source", config(POST, max_length=64), (40, 1, 2), (3, 6, 2)),
        Case("longer target", config(POST, max_length=64), (1, 2, 3), (35, 4, 9)),
    ]


def _large_cases() -> list[Case]:
    """Sizes beyond one tile of attention, one chunk of tokens, one small product and one block of logits."""
    long = ((150, 64, 1, 65, 128, 129), (131, 2, 66, 64, 65, 140))
    many = (tuple([9, 1, 14, 30, 5] * 16), tuple([8, 2, 11, 33, 4] * 16))
    wide: dict[str, Any] = {"d_model": 24, "heads": 2, "d_ff": 40, "max_length": 256, "vocab_size": 700}
    shared: dict[str, Any] = {"heads": 4, "attention": attention(kv_heads=2, head_width=10)}
    return [
        Case("long sequences", config(ADMIN, **wide), *long),
        Case("long, language model", config(PRE, encoder=0, stacks=FINAL, **wide), *long),
        Case(
            "parts, parallel",
            config([PRE, PARALLEL], **wide | {"max_length": 640}, encoder=2, decoder=2),
            (530, 3),
            (70, 600),
        ),
        Case("parts of sequences", config(ADMIN, **wide | {"max_length": 640}), (530, 3), (70, 600)),
        Case("many sequences", config(POST, **wide, positions="learned"), *many),
        Case(
            "wide heads",
            config(POST, **wide | {"d_model": 160, "d_ff": 70}),
            (33, 16, 65, 32),
            (17, 70, 31, 5),
        ),
        Case("long, heads that share keys", config(POST, **wide | shared), *long),
        Case(
            "parts, heads that share keys, rotary",
            config(
                PRE,
                **wide | shared | {"max_length": 640, "positions": "rotary"},
            ),
            (530, 3),
            (70, 600),
        ),
        *(
            Case(f"long, window of {w}", windowed(config(PRE, **wide, stacks=FINAL), w), *long)
            for w in (1, 5, 64, 70, 130)
        ),
        Case(
            "parts, windows",
            windowed(config(PRE, **wide | shared | {"max_length": 640}, encoder=2, decoder=2), 7, 200),
            (530, 3),
            (70, 600),
        ),
        Case(
            "parts, wide window, language model",
            windowed(
                config(
                    ADMIN, **wide | shared | {"max_length": 1100}, encoder=0, decoder=2, positions="rotary"
                ),
                300,
                90,
            ),
            (),
            (1050, 90),
        ),
        Case(
            "parts, norms of q and k",
            config(
                POST,
                **wide
                | shared
                | {"max_length": 640, "attention": attention(kv_heads=2, head_width=10, qk_norm="rms")},
            ),
            (530, 3),
            (70, 600),
        ),
        Case(
            "parts, norm on embeddings",
            config(PRE, **wide | {"max_length": 640}, stacks={"norm_embedding": "layer", **FINAL}),
            (530, 3),
            (70, 600),
        ),
        Case("long, gated", config(POST, **wide | {"d_ff": 70}, activation="silu", gated=True), *long),
        Case(
            "large vocabulary, output bias",
            config(
                POST,
                **wide | {"d_model": 8, "vocab_size": 5003},
                output_bias=True,
                logits_scale=0.5,
                bias="qkv",
            ),
            (9, 14, 3),
            (8, 11, 4),
        ),
        Case("large vocabulary", config(POST, **wide | {"d_model": 8, "vocab_size": 5003}), *many),
        Case(
            "large vocabulary, capped",
            config(
                POST,
                **wide | {"d_model": 8, "vocab_size": 5003},
                logits_cap=0.7,
                attention=attention(score_cap=0.5),
            ),
            (20, 70),
            (131, 2),
        ),
    ]


def _attention_cases() -> list[Case]:
    """Widths of heads, heads that share keys and values, scales and caps, rotary positions."""
    inner = {"norm_inner": "layer", **PRE}
    return [
        Case("wider heads", config(inner, attention=attention(head_width=7))),
        Case("narrower heads", config(ADMIN, attention=attention(head_width=2))),
        Case("more heads than features", config(POST, heads=5, d_model=4, attention=attention(head_width=3))),
        Case("scale of attention", config(POST, attention=attention(scale=0.9))),
        Case("capped scores", config(PRE, attention=attention(score_cap=0.4))),
        Case(
            "capped scores and logits",
            config(ADMIN, attention=attention(scale=0.7, score_cap=0.8), logits_cap=0.6),
        ),
        Case("capped logits", config(PRE, encoder=0, decoder=2, logits_cap=1.5)),
        *(
            Case(
                f"rotary positions{word}",
                config(subs, positions="rotary", attention=attention(rotary=rotary(**how))),
            )
            for word, subs, how in (
                ("", POST, {}),
                (", interleaved", PRE, {"interleaved": True, "theta": 100.0}),
                (" of a part", ADMIN, {"width": 2, "theta": 30.0}),
                (", scaled", PRE, {"theta": 500.0, **LLAMA_3}),
            )
        ),
        Case(
            "rotary language model",
            config(
                PRE,
                encoder=0,
                decoder=2,
                heads=6,
                positions="rotary",
                attention=attention(
                    kv_heads=2, head_width=6, rotary=rotary(width=4, interleaved=True, **LLAMA_3)
                ),
            ),
        ),
        Case("one head of keys", config(PRE, stacks=FINAL, attention=attention(kv_heads=1))),
        Case("heads that share keys", config(inner, heads=6, attention=attention(kv_heads=2))),
        Case(
            "wider heads that share keys",
            config(ADMIN, encoder=0, decoder=2, heads=4, attention=attention(head_width=5, kv_heads=2)),
        ),
        *(
            Case(
                f"{norm} of {word} q and k",
                config(
                    PRE,
                    heads=6,
                    positions="rotary" if norm == "rms" else "learned",
                    attention=attention(qk_norm=norm, qk_norm_whole=whole, kv_heads=2, head_width=4),
                ),
            )
            for norm in NORMS
            for word, whole in (("each head's", False), ("all", True))
        ),
        *(
            Case(f"window of {w}", windowed(config(PRE, stacks=FINAL), w), (3, 1, 7), (5, 2, 9))
            for w in (1, 2, 3, 50)
        ),
        Case(
            "windows in turn",
            windowed(config(ADMIN, encoder=3, decoder=3, attention=attention(kv_heads=1)), 2, 0),
        ),
        Case(
            "windows, language model",
            windowed(config(PRE, encoder=0, decoder=3, positions="rotary", heads=2), 3, 1, 0),
        ),
        Case(
            "norms of q and k, language model",
            config(ADMIN, encoder=0, decoder=3, attention=attention(qk_norm="rms", score_cap=2.0)),
        ),
    ]


CASES = _norm_cases() + _field_cases() + _model_cases() + _attention_cases()
LARGE_CASES = _large_cases()
LOSS_CASES = [case for case in CASES if case.config["decoder"]["layers"]]
ENCODER_CASES = [
    Case(f"encoder, {word}", config(subs, encoder=2, decoder=0, stacks=ends))
    for word, subs, ends in (
        ("post", POST, {}),
        ("pre", PRE, FINAL),
        ("admin", ADMIN, {}),
        ("post, as BERT", POST, {"norm_embedding": "layer"}),
    )
]


def with_dropout(base: dict[str, Any], p: float = 0.2) -> dict[str, Any]:
    """The same configuration with all three dropouts on, at rates that differ."""
    return base | {"dropout": p, "attention_dropout": p + 0.1, "activation_dropout": p / 2}


def smooth(case: Case) -> Case:
    """The same with gelu: among some ten thousand units of relu a step always finds one at its kink."""
    return replace(case, config=case.config | {"activation": "gelu"})


def identifiers(cases: Sequence[Case]) -> list[str]:
    """Names for pytest."""
    return [case.name for case in cases]
