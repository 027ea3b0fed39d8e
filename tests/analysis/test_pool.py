"""Results of several seeds become one a scheme, by one name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_results import made_dependency, made_gradients, made_output_change

from admin_py.analysis import GradientSpread, OutputChange, pool


def test_gradient_norms_become_their_mean_and_range() -> None:
    norms = [made_gradients(scheme, seed=seed) for seed in range(3) for scheme in ("admin", "post_ln")]
    found = pool(norms)
    assert [(type(one), one.scheme, one.seeds) for one in found] == [
        (GradientSpread, "admin", 3),
        (GradientSpread, "post_ln", 3),
    ]
    table = np.array([one.relative("decoder")[1:] for one in norms if one.scheme == "post_ln"])
    np.testing.assert_allclose(found[1].middle["decoder"], np.prod(table, axis=0) ** (1 / 3))
    np.testing.assert_array_equal(found[1].low["decoder"], table.min(axis=0))
    np.testing.assert_array_equal(found[1].high["decoder"], table.max(axis=0))
    assert found[1].kinds("encoder") == norms[0].kinds("encoder")
    assert found[1].metadata["seed"] == (0, 1, 2)


def test_output_changes_keep_all_repeats() -> None:
    changes = [made_output_change("admin", repeats=repeats, seed=repeats) for repeats in (2, 3)]
    (found,) = pool(iter(changes))
    assert isinstance(found, OutputChange)
    assert found.repeats == 5
    np.testing.assert_array_equal(
        found.change["encoder"], np.concatenate([one.change["encoder"] for one in changes])
    )
    np.testing.assert_array_equal(
        found.own("encoder"), np.mean([one.own("encoder") for one in changes], axis=0)
    )


def test_one_alone_is_taken_too() -> None:
    change = made_output_change()
    assert pool(change) == [change]
    assert pool(made_gradients())[0].seeds == 1


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (made_dependency(), "got an object of type Dependency"),
        ([made_dependency()], "got an object of type Dependency among them"),
        ("runs", "got an object of type str"),
        (None, "got an object of type NoneType"),
        ([made_gradients(), made_output_change()], "got GradientNorms and OutputChange"),
        ([made_gradients(), None], "got an object of type NoneType among them"),
    ],
)
def test_what_cannot_be_pooled_is_one_clear_error(results: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"all GradientNorms or all OutputChange, {message}"):
        pool(results)


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(ValueError, match="those of 'admin' differ in depth"):
        pool([made_gradients(layers=1), made_gradients(layers=2)])
    with pytest.raises(ValueError, match="those of 'admin' differ in sublayers"):
        pool([made_output_change(layers=1), made_output_change(layers=2)])
    with pytest.raises(ValueError, match="expected at least one"):
        pool([])
