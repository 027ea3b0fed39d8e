"""Diagnoses: against a slow NumPy computation for every scheme; what is not finite; one page; no change."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from proofs.test_package import batch_for, config_of, packed
from reference import transformer
from reference.sublayer import scale_value

import admin_py as ap
from admin_py.analysis.diagnosis import evidence
from admin_py.analysis.diagnosis.results import LEVELS, Diagnosis, number
from admin_py.analysis.diagnosis.verdict import Facts, judge
from admin_py.schemes import Residual, Scale, Scheme

SCHEMES = [*ap.schemes.names(), "post_ln/pre_ln"]
NORMED = Scheme(
    "normed_skip",
    lambda site: Residual(
        norm_pre="layer",
        norm_branch=("rms", "dyt", "layer")[site.sublayer % 3],
        residual_normed=True,
        kappa=0.5,
        omega=Scale("vector", 1.3, trained=True),
        alpha=Scale("vector", 0.7, trained=True),
    ),
)
"""Every field of the formula that beta depends on."""


def slow_own(
    config: dict[str, Any], params: dict[str, np.ndarray], run: transformer.ModelPass, stack: str
) -> list[float]:
    """beta_jj^2 = mean_t Var_f(b_j) / mean_t Var_f(y_j), a sub-layer at a time."""
    own = []
    for i, one in enumerate(run.stacks[stack].sublayers):
        sub, name = config[stack]["sublayers"][i], list(stack_names(config, stack))[i]
        b = scale_value("alpha", params, name, sub) * one.b
        own.append(b.var(axis=1).mean() / one.y.var(axis=1).mean())
    return own


def stack_names(config: dict[str, Any], stack: str) -> list[str]:
    made = config[stack]
    kinds = ["self_attn", "cross_attn", "feed_forward"] if made["cross"] else ["self_attn", "feed_forward"]
    return [f"{stack}.{layer}.{kind}" for layer in range(made["layers"]) for kind in kinds]


def move(model: ap.Transformer, seed: int) -> None:
    """Weights in general position: gains, biases, omega and alpha too."""
    rng = np.random.default_rng(seed)
    for values in model.parameters.values():
        values += 0.1 * rng.standard_normal(values.shape)


def made(scheme: Any, layers: tuple[int, int] = (2, 3), *, seed: int = 5, **fields: Any):
    """A profiled model in float64 and its batch, as the package's and as the reference's."""
    config = config_of(scheme, layers, **fields)
    model = ap.Transformer(config, seed=seed, dtype="float64")
    batch = batch_for(config, seed)
    model.profile(packed(batch))
    return model, packed(batch), batch


# Against the slow computation


@pytest.mark.parametrize("moved", [False, True], ids=["at initialisation", "in general position"])
@pytest.mark.parametrize("layers", [(2, 3), (0, 3), (3, 0)], ids=["both", "language model", "encoder"])
@pytest.mark.parametrize("scheme", [*SCHEMES, NORMED], ids=[*SCHEMES, "normed_skip"])
def test_amplification_and_gradients_are_those_of_the_slow_computation(
    scheme: Any, layers: tuple[int, int], moved: bool
) -> None:
    model, batch, plain = made(scheme, layers)
    if moved:
        move(model, seed=7)
    config, params = model.config.to_core(), {name: np.array(v) for name, v in model.parameters.items()}
    found = ap.diagnose(model, batch, label_smoothing=0.2)
    if layers[1]:
        expected = transformer.backward(config, params, plain, label_smoothing=0.2)
        run = expected.model
        # The same sums in another order, through at most 15 sub-layers.
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        for stack in found.stacks:
            norms = [np.linalg.norm(dx) for dx in run.stacks[stack].dx]
            np.testing.assert_allclose(found.gradients[stack], norms, rtol=1e-9, atol=1e-14)
    else:
        run = transformer.forward(config, params, plain)
        assert not found.gradients
        assert np.isnan(found.loss)
    for stack in found.stacks:
        own = slow_own(config, params, run, stack)
        np.testing.assert_allclose(found.own(stack), own, rtol=1e-10, atol=1e-30)
        np.testing.assert_allclose(found.amplification(stack), np.cumsum(own), rtol=1e-10, atol=1e-30)
        stream = [one.x.var(axis=1).mean() for one in run.stacks[stack].sublayers]
        np.testing.assert_allclose(found.var_stream[stack][:-1], stream, rtol=1e-10)
        np.testing.assert_allclose(
            found.var_stream[stack][-1], run.stacks[stack].sublayers[-1].out.var(axis=1).mean(), rtol=1e-10
        )
    assert found.level in LEVELS[:3]
    assert not found.nonfinite


def test_the_references_are_fresh_models_of_the_same_sizes_and_seed() -> None:
    model, batch, _ = made("deepnorm")
    found = ap.diagnose(model, batch)
    assert list(found.references) == ["post_ln", "pre_ln", "admin"]
    for name, own in found.references.items():
        other = ap.Transformer(model.config.replace(scheme=name), seed=5, dtype="float64")
        other.profile(batch, seed=5)
        again = ap.diagnose(other, batch)
        for stack in found.stacks:
            np.testing.assert_array_equal(again.own(stack), own[stack])


def test_gradient_range_names_the_ends() -> None:
    model, batch, _ = made("post_ln")
    found = ap.diagnose(model, batch)
    norms = found.gradients["decoder"][1:]
    seen = found.gradient_range("decoder")
    assert seen.smallest == norms.min()
    assert seen.smallest_at == found.sublayers["decoder"][norms.argmin()]
    assert seen.largest == norms.max()
    assert seen.largest_at == found.sublayers["decoder"][norms.argmax()]
    assert seen.top_over_bottom == norms[-1] / norms[0]


def test_the_heaviest_come_first_with_their_share() -> None:
    model, batch, _ = made("post_ln")
    found = ap.diagnose(model, batch)
    own = np.concatenate([found.own(stack) for stack in found.stacks])
    heavy = found.heaviest(4)
    assert [one.beta2 for one in heavy] == sorted(own, reverse=True)[:4]
    for one in heavy:
        stack = one.name.partition(".")[0]
        assert one.beta2 == found.own(stack)[found.sublayers[stack].index(one.name)]
        assert one.share == pytest.approx(one.beta2 / found.own(stack).sum(), rel=1e-15)
    assert len(found.heaviest(100)) == len(own)


# The model is only read


@pytest.mark.parametrize("scheme", ["admin", "pre_ln", "rezero"])
def test_the_model_stays_as_it_is_bit_for_bit(scheme: str) -> None:
    model, batch, _ = made(scheme)
    model.backward(batch, step=3)
    state = {name: value.tobytes() for name, value in model.parameters.items()}
    gradients = {name: value.tobytes() for name, value in model.gradients.items()}
    omega, seed = model.omega, model.seed
    ap.diagnose(model, batch)
    assert {name: value.tobytes() for name, value in model.parameters.items()} == state
    assert {name: value.tobytes() for name, value in model.gradients.items()} == gradients
    assert model.seed == seed
    for stack, values in omega.items():
        np.testing.assert_array_equal(model.omega[stack], values)


def test_a_model_without_gradients_gets_none() -> None:
    config = config_of("post_ln")
    model = ap.Transformer(config, seed=1)
    before = dict(model.memory)
    ap.diagnose(model, packed(batch_for(config, 1)))
    assert model.memory == before


def test_equal_calls_give_equal_results() -> None:
    model, batch, _ = made("admin")
    assert ap.diagnose(model, batch) == ap.diagnose(model, batch)


# Not finite


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["decoder.1.cross_attn.k.weight", "encoder.0.self_attn.norm_post.gamma", "embedding.weight"]
)
def test_a_weight_that_is_not_finite_is_named(name: str, value: float) -> None:
    model, batch, _ = made("post_ln")
    model.parameters[name].flat[-1] = value
    found = ap.diagnose(model, batch)
    assert found.level == "not finite"
    assert found.nonfinite == f"the weight {name}"
    assert name in found.verdict
    assert name in repr(found)
    assert found.advice
    assert np.isfinite(found.references["admin"]["decoder"]).all()


def test_an_activation_that_overflows_is_named() -> None:
    config = config_of("post_ln")
    model = ap.Transformer(config, seed=1, dtype="float32")
    for matrix in ("fc1", "fc2"):
        model.parameters[f"encoder.1.feed_forward.{matrix}.weight"][...] = 1e25
    found = ap.diagnose(model, packed(batch_for(config, 1)))
    assert found.level == "not finite"
    assert found.nonfinite == "the activation encoder.1.feed_forward.branch"
    assert np.isfinite(found.own("encoder")[:3]).all()
    assert "encoder.1.feed_forward.branch" in repr(found)


def test_logits_that_overflow_are_named() -> None:
    config = config_of("post_ln", share_embeddings="inputs")
    model = ap.Transformer(config, seed=1, dtype="float32")
    model.parameters["output.weight"][...] = 3e38
    model.parameters["decoder.2.feed_forward.norm_post.nu"][...] = 10.0
    assert ap.diagnose(model, packed(batch_for(config, 1))).nonfinite == "the activation logits"


def test_a_gradient_that_overflows_is_named() -> None:
    """v is 0, so every activation is finite; its gradient goes back through an `out` of 3e38."""
    config = config_of("pre_ln", (0, 2))
    model = ap.Transformer(config, seed=1, dtype="float32")
    name = "decoder.0.self_attn"
    model.parameters[f"{name}.v.weight"][...] = 0.0
    model.parameters[f"{name}.out.weight"][...] = np.copysign(3e38, model.parameters[f"{name}.out.weight"])
    model.parameters[f"{name}.norm_pre.gamma"][...] = 1e4
    found = ap.diagnose(model, packed(batch_for(config, 1)))
    assert found.level == "not finite"
    assert found.nonfinite == f"the gradient of {name}.v.weight"
    assert np.isfinite(found.own("decoder")).all()


# Kinds of models, bad input


def test_bad_input_is_named() -> None:
    model, batch, _ = made("post_ln")
    with pytest.raises(TypeError, match="model must be a Transformer, got an object of type str"):
        ap.diagnose("post_ln", batch)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="batch must be a Batch, got an object of type list"):
        ap.diagnose(model, [[1, 2]])  # type: ignore[arg-type]
    with pytest.raises((ValueError, TypeError), match="label_smoothing"):
        ap.diagnose(model, batch, label_smoothing=1.5)
    with pytest.raises(IndexError, match="23"):
        ap.diagnose(model, ap.Batch([[4, 23]], [[1, 2]]))
    found = ap.diagnose(model, batch)
    with pytest.raises(ValueError, match="stack: expected one of encoder, decoder, got 'middle'"):
        found.amplification("middle")
    with pytest.raises(ValueError, match="count"):
        found.heaviest(0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.level = "stable"  # type: ignore[misc]


def test_an_encoder_has_no_gradient_range() -> None:
    model, batch, _ = made("pre_ln", (2, 0))
    found = ap.diagnose(model, batch)
    with pytest.raises(ValueError, match="no loss"):
        found.gradient_range("encoder")
    assert "|dL/dx_i|" not in repr(found)


# The verdict


def facts(total: float, count: int = 20, **fields: Any) -> Facts:
    """Of a decoder whose amplification is `total`, beside references that are stable."""
    low = {"decoder": np.full(count, 1.0 / count)}
    own = {"decoder": np.full(count, total / count)}
    plain: dict[str, Any] = {
        "scheme": "post_ln", "layers": {"decoder": count // 2}, "beta2": own,
        "references": {"post_ln": own, "pre_ln": low, "admin": low},
        "var_branch": {"decoder": np.ones(count)}, "per_layer": {"decoder": 2},
        "gradients": {}, "nonfinite": "", "unprofiled": False,
    }  # fmt: skip
    return Facts(**plain | fields)


def test_the_level_follows_the_thresholds() -> None:
    low, high = evidence.STABLE_UP_TO, evidence.UNSTABLE_FROM
    assert low < high
    wanted = {0.0: "stable", low: "stable", (low + high) / 2: "borderline", high: "unstable", 1e6: "unstable"}
    # One sub-layer: its sum is exactly the threshold.
    assert {total: judge(facts(total, 1)).level for total in wanted} == wanted
    assert judge(facts(np.nan)).level == "not finite"


def test_what_to_change_offers_what_is_better_here() -> None:
    words = " ".join(judge(facts(30.0)).advice)
    assert 'scheme="admin" and `model.profile(batch)` (1.00)' in words
    assert 'scheme="pre_ln" (1.00)' in words
    assert not judge(facts(1.0)).advice
    hopeless = facts(30.0)
    words = " ".join(judge(dataclasses.replace(hopeless, references=dict.fromkeys(
        ("post_ln", "pre_ln", "admin"), hopeless.beta2))).advice)  # fmt: skip
    assert "Fewer layers in the decoder" in words
    assert "scheme=" not in words


def test_admin_that_was_never_profiled_is_told_to_be() -> None:
    config = config_of("admin", (9, 9))
    model = ap.Transformer(config, seed=1)
    batch = packed(batch_for(config, 1))
    words = " ".join(ap.diagnose(model, batch).advice)
    assert "model.profile(batch)" in words
    assert "every omega is still 1" in words
    assert "`ap.train` profiles such a model on its first batch" in words
    assert 'scheme="admin"' not in words
    model.profile(batch)
    assert "every omega is still 1" not in " ".join(ap.diagnose(model, batch).advice)


def test_a_vanishing_gradient_is_found_and_named() -> None:
    norms = {"decoder": np.array([1e-3, 1e-3, 0.5, 1.0])}
    words = " ".join(judge(facts(1.0, gradients=norms)).findings)
    assert "vanishes towards the bottom of the decoder" in words
    assert "by a factor of 1,000." in words
    assert "vanishes" not in " ".join(judge(facts(1.0, gradients={"decoder": np.ones(4)})).findings)
    assert "No gradient reaches the decoder" in " ".join(
        judge(facts(1.0, gradients={"decoder": np.zeros(4)})).findings
    )


def test_a_plain_residual_network_explodes() -> None:
    """Without norms and with scaled weights each sub-layer multiplies the variance."""
    config = config_of(
        Scheme("plain", lambda site: Residual(gains={"v": 2, "out": 2, "fc1": 2, "fc2": 2})), (8, 0)
    )
    found = ap.diagnose(ap.Transformer(config, seed=1), packed(batch_for(config, 1)))
    assert "explodes" in " ".join(found.findings)
    calm, batch, _ = made("pre_ln", (8, 0))
    assert "explodes" not in " ".join(ap.diagnose(calm, batch).findings)


def test_branches_that_start_at_zero_are_called_slow() -> None:
    model, batch, _ = made("rezero_post_ln")
    found = ap.diagnose(model, batch)
    assert found.level == "stable"
    assert "slow start" in " ".join(found.findings)
    assert "No gradient reaches the encoder" in " ".join(found.findings)


def test_an_encoder_of_large_amplification_may_not_be_read_for_long() -> None:
    """A finding beside the level, and only where the decoder is calm enough to learn without it."""

    def words(encoder: float, decoder: float, stacks: tuple[str, ...] = ("encoder", "decoder")) -> str:
        totals = {"encoder": encoder, "decoder": decoder}
        own = {stack: np.full(1, totals[stack]) for stack in stacks}
        given = facts(1.0, beta2=own, references=dict.fromkeys(("post_ln", "pre_ln", "admin"), own),
                      var_branch={s: np.ones(1) for s in stacks}, per_layer=dict.fromkeys(stacks, 1),
                      layers=dict.fromkeys(stacks, 1))  # fmt: skip
        return " ".join(judge(given).findings)

    late = evidence.LATE_FROM
    assert "source_use" in words(late, 2.0)
    assert "source_use" not in words(0.99 * late, 2.0)
    assert "source_use" not in words(late, evidence.UNSTABLE_FROM)
    assert "source_use" not in words(late, 2.0, stacks=("encoder",))
    model, batch, _ = made("post_ln/pre_ln", (14, 2))
    found = ap.diagnose(model, batch)
    assert found.amplification("encoder")[-1] > late
    assert "source_use" in " ".join(found.findings)


# The evidence


def test_the_constants_are_those_of_the_trainings() -> None:
    from benchmarks import diagnosis_check

    results = json.loads((Path(__file__).parents[3] / "benchmarks/results/diagnosis_check.json").read_text())
    computed = diagnosis_check.summarise(results["runs"], results["unigram_entropy"])
    assert {name: getattr(evidence, name) for name in computed} == computed


def test_a_training_counts_only_if_the_model_reads_its_source() -> None:
    from benchmarks import diagnosis_check

    assert diagnosis_check.has_trained(1.0, 1.5, entropy=2.8)
    assert not diagnosis_check.has_trained(1.47, 1.47, entropy=2.8), "a language model of the target"
    assert not diagnosis_check.has_trained(2.5, 2.9, entropy=2.8), "reads, but has hardly learnt"
    run = {"valid_nll": [1.5, 1.0], "other_nll": [1.5, 1.6], "diverged_at": None}
    assert [diagnosis_check.trained(run, 2.8, at) for at in (0, -1)] == [False, True]
    assert [diagnosis_check.blind(run, 2.8, at) for at in (0, -1)] == [True, False]
    assert not diagnosis_check.trained({**run, "diverged_at": 250}, 2.8)


# Page, table, file


@pytest.mark.parametrize("layers", [(18, 18), (0, 3), (3, 0)])
@pytest.mark.parametrize("scheme", ["post_ln", "admin", "rezero", "deep_scale_lm/post_ln"])
def test_the_page_fits_in_eighty_columns_and_one_screen(scheme: str, layers: tuple[int, int]) -> None:
    config = config_of(scheme, layers)
    found = ap.diagnose(ap.Transformer(config, seed=1), packed(batch_for(config, 1)))
    lines = repr(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    assert found.level.upper() in " ".join(lines[:3])
    for stack in found.stacks:
        assert number(found.own(stack).sum()) in repr(found)
    assert "R^2 nan" not in repr(found)


def test_table_html_and_file(tmp_path: Path) -> None:
    model, batch, _ = made("admin")
    found = ap.diagnose(model, batch)
    table = found.to_dataframe()
    assert len(table) == 13
    np.testing.assert_array_equal(table["own"][4:], found.own("decoder"))
    np.testing.assert_array_equal(table["grad_norm"][:4], found.gradients["encoder"][1:])
    np.testing.assert_array_equal(table["pre_ln"][4:], np.cumsum(found.references["pre_ln"]["decoder"]))
    html = found._repr_html_()
    assert found.level.upper() in html
    assert "<table>" in html
    found.save(tmp_path / "diagnosis.json")
    loaded = Diagnosis.load(tmp_path / "diagnosis.json")
    assert loaded == found
    assert repr(loaded) == repr(found)
    assert loaded.metadata["seed"] == 5


@pytest.mark.parametrize("layers", [(2, 2), (0, 2), (2, 0)])
def test_the_figure_has_a_panel_for_the_amplification_and_one_for_gradients(layers: tuple[int, int]) -> None:
    import matplotlib.pyplot as plt

    model, batch, _ = made("post_ln", layers)
    found = ap.diagnose(model, batch)
    panels = found.plot()
    assert len(panels) == (2 if layers[1] else 1)
    first = found.stacks[0]
    drawn = [np.asarray(line.get_ydata(), float) for line in panels[0].get_lines()]
    for curve in (found.amplification(first), np.cumsum(found.references["pre_ln"][first])):
        assert any(len(values) == len(curve) and np.allclose(values, curve) for values in drawn)
    labels = [text.get_text() for text in panels[0].get_legend().get_texts()]
    assert labels == ["this model (Post-LN)", "Post-LN", "Pre-LN", "Admin"]
    _, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="axes: expected"):
        found.plot(axes)
    plt.close("all")
