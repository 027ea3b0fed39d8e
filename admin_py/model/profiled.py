"""What a model has of its residual connections: variances that are profiled, and omega, which follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.builds import MAX_SEED
from admin_py.base.checks import check_bool, check_choice, check_integer, check_mapping
from admin_py.base.unused import goes_with
from admin_py.data.batch import Batch
from admin_py.model import closed_form
from admin_py.model.omega import check_omega, is_unprofiled, read_omega, write_omega
from admin_py.model.profile import VarianceProfile
from admin_py.model.state import check_weights
from admin_py.results import run_metadata

if TYPE_CHECKING:
    from admin_py.model.config import TransformerConfig
    from admin_py.model.observation import Observation

METHODS = ("clinic", "paper", "admin_torch")


@door
class Profiled:
    """A model whose sub-layers' variances are profiled, and whose omega is set."""

    if TYPE_CHECKING:  # what the model itself has

        @property
        def config(self) -> TransformerConfig: ...
        @property
        def dtype(self) -> str: ...
        @property
        def seed(self) -> int: ...
        @seed.setter
        def seed(self, value: int) -> None: ...
        @property
        def parameters(self) -> Mapping[str, NDArray[Any]]: ...
        def observe(
            self, batch: Batch, *, activations: str | Sequence[str] = ..., training: bool = ...
        ) -> Observation: ...
        def _batch(self, batch: Batch) -> Any: ...

        _core: Any

    @goes_with(
        output_change=('method="admin_torch"', lambda given: given["method"] == "admin_torch"),
        dropout=("a batch", lambda given: given["batch"] is not None),
        seed=("a batch", lambda given: given["batch"] is not None),
    )
    def profile(
        self,
        batch: Batch | None = None,
        *,
        method: str = "clinic",
        output_change: str = "log n",
        dropout: bool = True,
        seed: int = 0,
        apply: bool = True,
    ) -> VarianceProfile:
        """Profile the variances of all sub-layers; set omega of those whose scheme profiles it (Admin).

        Parameters
        ----------
        batch : Batch
            What is read; only ``"admin_torch"`` does without (and then measures no variances).
        method : {"clinic", "paper", "admin_torch"}
            How omega follows. ``"clinic"``, the release's and the default: omega_i = acc, where acc is 1 at
            first and then sqrt(Var(omega_i x_{i-1}) + Var(a_i)). ``"paper"``: omega_i = sqrt(1 + sum_{j<i}
            Var(a_j)) at omega = 1. ``"admin_torch"``: a closed form of the depth, see
            `schemes.admin_torch_omega`.
        output_change : {"log n", "1", "n"}
            Of ``"admin_torch"``: how the output change may grow with depth.
        dropout : bool
            Whether dropout is on, as in training.
        seed : int
            Of dropout.
        apply : bool
            Whether omega is set; if not, the model stays as it was.

        Returns
        -------
        VarianceProfile

        Examples
        --------
        >>> import admin_py as ap
        >>> import numpy as np
        >>> config = ap.TransformerConfig(
        ...     vocab_size=20, encoder_layers=2, decoder_layers=2, d_model=8, heads=2, d_ff=16
        ... )
        >>> model = ap.Transformer(config, seed=1)
        >>> profile = model.profile(ap.Batch([[4, 5, 6], [7, 8]], [[1, 9, 10, 2], [1, 11, 2]]))
        >>> bool(np.allclose(model.omega["decoder"][:, 0], profile.omega("decoder")))
        True
        """
        check_choice("method", method, METHODS)
        dropout, apply = check_bool("dropout", dropout), check_bool("apply", apply)
        seed = check_integer("seed", seed, 0, MAX_SEED)
        if batch is not None:
            check_weights(self.parameters)
        if method == "admin_torch":
            tables = self._closed_form(batch, output_change, dropout=dropout, seed=seed, apply=apply)
        elif batch is None:
            raise ValueError(f'method={method!r} needs a batch, got none (only "admin_torch" does without)')
        else:
            tables = self._core.profile(
                self._batch(batch), method=method, dropout=dropout, seed=seed, apply=apply
            )
        return VarianceProfile.from_arrays(
            tables,
            scheme=self.config.scheme_name,
            method=method,
            names={stack: tuple(self.config.sublayer_names(stack)) for stack in tables},
            metadata=run_metadata(seed=self.seed, dtype=self.dtype, profile_seed=seed, dropout=dropout),
        )

    def _closed_form(
        self, batch: Batch | None, output_change: str, *, dropout: bool, seed: int, apply: bool
    ) -> dict[str, dict[str, Any]]:
        """Stack -> columns ``omega``, ``var_input``, ``var_branch`` [R]; nan where there is no batch."""
        before, own_seed, keep = self.omega, self.seed, False
        after = closed_form.omegas(self.config, before, output_change)
        try:
            self.set_omega(after)
            self.seed = seed
            seen = None if batch is None else self.observe(batch, activations=[], training=dropout)
            keep = apply
        finally:
            self.seed = own_seed
            if not keep:
                self.set_omega(before)
        return closed_form.columns(
            after, *((None, None) if seen is None else (seen.var_input, seen.var_branch))
        )

    @property
    def omega(self) -> dict[str, NDArray[Any]]:
        """Stack -> copy of the skip scale of every sub-layer: [R], or [R, D] where any is a vector."""
        return {stack: read_omega(self.config, stack, self.parameters) for stack in self.config.stacks}

    @property
    def unprofiled(self) -> bool:
        """Whether the scheme profiles omega (Admin), and it is 1 throughout: `profile` has not been called.

        Examples
        --------
        >>> import admin_py as ap
        >>> config = ap.TransformerConfig(
        ...     vocab_size=9, encoder_layers=2, decoder_layers=0, d_model=8, heads=2, d_ff=16
        ... )
        >>> model = ap.Transformer(config)
        >>> before, _, after = model.unprofiled, model.profile(ap.Batch([[3, 4, 5]])), model.unprofiled
        >>> before, after
        (True, False)
        """
        return is_unprofiled(self.config, self.parameters)

    def set_omega(self, omega: Mapping[str, Any] | VarianceProfile) -> None:
        """Set the skip scales of one stack or both.

        Parameters
        ----------
        omega : mapping or VarianceProfile
            Stack -> [R], [R, 1] or [R, D].

        Raises
        ------
        ValueError, TypeError
            Naming the sub-layer whose omega cannot be that: of a wrong shape, not finite, a vector where it
            is a scalar, or other than 1 where its scheme has none; the model is then as before.
        """
        if isinstance(omega, VarianceProfile):
            omega = {stack: omega.omega(stack) for stack in omega.stacks}
        given = check_mapping("omega", omega)
        checked = {
            stack: check_omega(self.config, stack, values, self.dtype) for stack, values in given.items()
        }
        for stack, values in checked.items():
            write_omega(self.config, stack, values, self._core.parameters)
