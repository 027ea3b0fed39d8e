"""Training a model of a scheme that profiles omega: profiled first, said, and not twice."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import DATA, SEED, assert_same_files, assert_same_history, make_optimizer, train

import admin_py as ap
from admin_py.training.profiling import as_tried

SETTINGS: dict[str, Any] = {"layers": 1, "d_model": 16, "heads": 2, "d_ff": 24}


def fresh(scheme: Any = "admin", **more: Any) -> ap.Transformer:
    """A model that nobody has profiled."""
    config = ap.TransformerConfig(
        vocab_size=DATA.vocab_size,
        encoder_layers=1,
        decoder_layers=1,
        d_model=16,
        heads=2,
        d_ff=24,
        scheme=scheme,
        **{"max_length": 96, **more},
    )
    return ap.Transformer(config, seed=SEED)


def by_hand(model: ap.Transformer) -> ap.Transformer:
    """Profiled as a study does it, on the first batch of `train`."""
    model.profile(next(DATA.batches(max_tokens=90, seed=SEED)), seed=SEED)
    return model


def assert_same_weights(a: ap.Transformer, b: ap.Transformer) -> None:
    for name, value in a.parameters.items():
        np.testing.assert_array_equal(value, b.parameters[name], err_msg=name)


def test_a_fresh_admin_is_profiled_on_the_batch_that_training_begins_with() -> None:
    model, other = fresh(), by_hand(fresh())
    history, expected = train(model, steps=3), train(other, steps=3)
    assert_same_history(history, expected)
    assert_same_weights(model, other)
    assert history.metadata["profile"] == "auto, batch 1 of epoch 0"
    assert expected.metadata["profile"] == "as given"


def test_a_fresh_model_trains_as_a_study_trains_it() -> None:
    """Bit for bit, with the default optimiser and the defaults of both."""
    found = ap.study(DATA, schemes=["admin"], seeds=[SEED], steps=4, progress=False, **SETTINGS)
    run = found.runs[0]
    history = ap.train(
        fresh(dropout=0.1),
        DATA,
        optimizer="adam",
        schedule=ap.schedules.inverse_sqrt(lr=1e-3, warmup=100),
        steps=4,
        valid_every=1,
        observe=1,
        progress=False,
    )
    for name in ("loss", "nll", "lr", "grad_norm", "update_norm", "tokens"):
        np.testing.assert_array_equal(getattr(history, name), getattr(run.history, name), err_msg=name)
    np.testing.assert_array_equal(history.valid["nll"], run.history.valid["nll"])
    omega = run.profile.omega("decoder")
    np.testing.assert_array_equal(history.observations["decoder"]["omega"][0], omega.astype(np.float32))


@pytest.mark.parametrize("scheme", ["admin/pre_ln", "pre_ln/admin"])
def test_a_hybrid_that_profiles_in_one_stack_is_profiled(scheme: str) -> None:
    model = fresh(scheme)
    assert train(model, steps=1).metadata["profile"] == "auto, batch 1 of epoch 0"
    assert not model.unprofiled


def test_it_is_said_in_a_line_where_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    train(fresh(), steps=1, progress=True)
    assert capsys.readouterr().err.splitlines()[0] == "profile of admin: auto, batch 1 of epoch 0"
    train(fresh(), steps=1, progress=False)
    assert capsys.readouterr().err == ""
    train(fresh("pre_ln"), steps=1, progress=True)
    assert "profile" not in capsys.readouterr().err


def test_true_profiles_a_profiled_model_again() -> None:
    model = fresh()
    model.set_omega({stack: np.full_like(value, 7.0) for stack, value in model.omega.items()})
    history = train(model, steps=3, profile=True)
    assert_same_history(history, train(by_hand(fresh()), steps=3))
    assert history.metadata["profile"] == "asked for, batch 1 of epoch 0"


@pytest.mark.parametrize("profile", ["auto", True, False])
def test_a_scheme_that_profiles_nothing_is_as_it_was(profile: Any) -> None:
    history = train(fresh("post_ln"), steps=2, profile=profile)
    assert history.metadata["profile"] == "as given"
    assert_same_history(history, train(fresh("post_ln"), steps=2))


def test_false_trains_an_unprofiled_model_and_warns_where_it_was_called() -> None:
    model = fresh()
    with pytest.warns(UserWarning, match=r"'admin' profiles omega.*Leave profile='auto'") as caught:
        history = ap.train(model, DATA, steps=1, max_tokens=90, profile=False, progress=False)
    assert [Path(one.filename).name for one in caught] == [Path(__file__).name]
    assert history.metadata["profile"] == "off"
    config = model.config.replace(scheme="post_ln")
    plain = ap.Transformer(config, seed=SEED)
    expected = ap.train(plain, DATA, steps=1, max_tokens=90, progress=False)
    assert history.nll[0] == pytest.approx(expected.nll[0], rel=1e-6), "omega 1 is Post-LN"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(by_hand(fresh()), steps=1, profile=False).metadata["profile"] == "as given"


@pytest.mark.parametrize("profile", ["auto", True])
def test_a_training_that_goes_on_is_not_profiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: Any
) -> None:
    def interrupt(step: int, model: Any, history: Any) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole = train(fresh(), steps=6, profile=profile, checkpoint=tmp_path / "whole")
    train(fresh(), steps=6, profile=profile, checkpoint=tmp_path / "run", callbacks=[interrupt])

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("profiled again")

    monkeypatch.setattr(ap.Transformer, "profile", refuse)
    history = train(fresh(), make_optimizer(), steps=6, profile=profile, checkpoint=tmp_path / "run")
    assert_same_history(history, whole)
    assert_same_files(tmp_path / "run", tmp_path / "whole")
    assert history.metadata["profile"] == whole.metadata["profile"]


def test_a_model_that_overflows_diverges_as_before() -> None:
    """The profile cannot be made; the first step says where the numbers end."""
    model = fresh()
    for name, value in model.parameters.items():
        value *= np.float32(1.0 if name.endswith("omega") else 1e20)
    history = train(model, steps=2)
    assert history.diverged_at == 1
    assert history.metadata["profile"].startswith("not possible, omega of encoder.0.feed_forward")


def test_who_tried_a_profile_says_what_is_missing_and_silences_that_warning_alone() -> None:
    told = "the model is not profiled: said by another"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with as_tried(None) as asked:
            train(fresh(), profile=asked, steps=1)
            warnings.warn(told, UserWarning, stacklevel=1)
    assert [str(one.message) for one in caught] == [told]
    with as_tried(fresh().profile(next(DATA.batches(max_tokens=90, seed=SEED)))) as asked:
        assert asked == "auto"
