"""The variance profile of a model: what Admin sets omega by, and what it predicts of each sub-layer.

Definitions: Liu et al., EMNLP 2020, arXiv 2004.08249, sections 3 and 4, and the Transformer-Clinic release.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.base.checks import (
    check_array,
    check_choice,
    check_integer,
    check_listed,
    check_mapping,
    check_text,
    shown,
)
from admin_py.base.paths import path_of
from admin_py.base.plain_files import read_plain
from admin_py.base.whole_files import write_whole
from admin_py.results import Result, figure, run_metadata

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

STACKS = ("encoder", "decoder")
COLUMNS = ("var_input", "var_branch", "omega")
MAX_LAYERS = 100_000


@dataclass(frozen=True, eq=False, repr=False)
class VarianceProfile(Result):
    """Variances and skip scale of every sub-layer of a model, from one forward pass. Frozen.

    Made by `Transformer.profile`, or read from a file.

    Parameters
    ----------
    scheme : str
        Name of the model's scheme.
    method : {"clinic", "paper", "admin_torch", "file"}
        How omega was found.
    tables : mapping
        Stack -> columns: ``name``, names of the R sub-layers; ``var_input``, Var(x_{i-1}); ``var_branch``,
        Var(a_i); ``omega``, all float64 [R]. Variances are over all tokens and features, nan where none were
        measured.
    metadata : mapping
        Seed, dtype, threads and versions.

    Examples
    --------
    >>> profile = VarianceProfile.from_arrays(
    ...     {"encoder": {"var_input": [2.0, 1.0], "var_branch": [1.0, 0.5], "omega": [1.0, 1.5]}},
    ...     scheme="admin",
    ... )
    >>> profile
    VarianceProfile(admin, clinic: encoder 2 sub-layers, omega 1 to 1.5)
    >>> profile.omega("encoder")
    array([1. , 1.5])
    >>> profile.beta2("encoder").round(3)
    array([0.333, 0.182])
    """

    kind: ClassVar[str] = "variance_profile"
    drawn_by: ClassVar[str] = "plot_profile"

    scheme: str
    method: str
    tables: Mapping[str, Mapping[str, Any]]
    metadata: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.tables, Mapping) or not self.tables:
            raise ValueError("tables must map at least one stack to its columns")
        object.__setattr__(self, "tables", check_mapping("tables", self.tables))
        checked = {stack: _check_table(stack, self.tables[stack]) for stack in STACKS if stack in self.tables}
        if len(checked) != len(self.tables):
            raise ValueError(
                f"tables must be of the stacks encoder and decoder, got {', '.join(map(shown, self.tables))}"
            )
        object.__setattr__(self, "tables", checked)
        super().__post_init__()

    @classmethod
    def from_arrays(
        cls,
        tables: Mapping[str, Mapping[str, ArrayLike]],
        *,
        scheme: str,
        method: str = "clinic",
        names: Mapping[str, tuple[str, ...]] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> VarianceProfile:
        """A profile from the columns of each stack, with names as in a model of these sizes.

        Parameters
        ----------
        tables : mapping
            Stack -> ``omega``, ``var_input`` and ``var_branch`` [R].
        scheme, method : str
        names : mapping, optional
            Stack -> names of its sub-layers; by default those of layers of two, or of three sub-layers in a
            decoder beside an encoder.
        metadata : mapping, optional
        """
        columns: dict[str, dict[str, Any]] = {}
        for stack, given in tables.items():
            check_choice("tables: a stack", stack, STACKS)
            table = check_mapping(f"tables[{stack!r}]", given)
            count = len(np.atleast_1d(check_array(f"tables[{stack!r}]: omega", table.get("omega", ()))))
            per_layer = _per_layer(stack, "encoder" in tables)
            own = _names(stack, count, per_layer) if names is None else _own_names(names, stack)
            columns[stack] = {"name": own, **table}
        return cls(scheme, method, columns, run_metadata() if metadata is None else metadata)

    # Columns

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks it covers: "encoder", "decoder" or both."""
        return tuple(self.tables)

    def _column(self, stack: str, column: str) -> NDArray[np.float64]:
        if stack not in self.tables:
            raise ValueError(f"stack must be one of {', '.join(map(repr, self.stacks))}, got {shown(stack)}")
        return self.tables[stack][column]

    def names(self, stack: str) -> tuple[str, ...]:
        """Names of the stack's sub-layers, as the parameters' names begin."""
        self._column(stack, "omega")
        return self.tables[stack]["name"]

    def kinds(self, stack: str) -> tuple[str, ...]:
        """Kinds of the stack's sub-layers: "self_attn", "cross_attn" or "feed_forward"."""
        return tuple(name.rpartition(".")[2] for name in self.names(stack))

    def omega(self, stack: str) -> NDArray[np.float64]:
        """Skip scale of every sub-layer, float64 [R]; the mean over features where it is a vector."""
        return self._column(stack, "omega")

    def var_input(self, stack: str) -> NDArray[np.float64]:
        """Var(x_{i-1}) of every sub-layer, float64 [R]."""
        return self._column(stack, "var_input")

    def var_branch(self, stack: str) -> NDArray[np.float64]:
        """Var(a_i) of every sub-layer, float64 [R]."""
        return self._column(stack, "var_branch")

    def beta2(self, stack: str) -> NDArray[np.float64]:
        """Dependency of every sub-layer on its own branch as the variances predict it, float64 [R].

        beta_ii^2 = Var(a_i) / (omega_i^2 Var(x_{i-1}) + Var(a_i)), after the paper's section 3. Where both
        variances are 0 it is nan. What is measured is `Dependency.own` and `Diagnosis.own`.
        """
        branch = self.var_branch(stack)
        total = self.omega(stack) ** 2 * self.var_input(stack) + branch
        return np.divide(branch, total, out=np.full(len(branch), math.nan), where=total != 0)

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (from 1), name, kind, var_input, var_branch, omega, beta2."""
        import pandas as pd

        parts = [
            pd.DataFrame(
                {
                    "stack": stack,
                    "index": np.arange(1, len(self.omega(stack)) + 1),
                    "name": self.names(stack),
                    "kind": self.kinds(stack),
                    "var_input": self.var_input(stack),
                    "var_branch": self.var_branch(stack),
                    "omega": self.omega(stack),
                    "beta2": self.beta2(stack),
                }
            )
            for stack in self.stacks
        ]
        return pd.concat(parts, ignore_index=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Omega and Var(a) of every sub-layer, drawn into ``ax`` or a new figure; returns the Axes."""
        return figure(self.drawn_by)(self, ax, scheme=self.scheme)

    def _summary(self) -> str:
        parts = []
        for stack in self.stacks:
            omega = self.omega(stack)
            parts.append(f"{stack} {len(omega)} sub-layers, omega {omega.min():.4g} to {omega.max():.4g}")
        return f"{self.scheme}, {self.method}: " + "; ".join(parts)

    # The release's text format

    def to_clinic(self, path: str | os.PathLike[str]) -> None:
        """Write omega in the text format of Transformer-Clinic, whole or not at all.

        A line ``index omega`` for each sub-layer, from 1 in each stack, the encoder's before the decoder's.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        lines = [
            f"{index} {float(value)!r}\n"
            for stack in self.stacks
            for index, value in enumerate(self.omega(stack), start=1)
        ]
        write_whole(path, "".join(lines))

    @classmethod
    def from_clinic(
        cls, path: str | os.PathLike[str], *, encoder_layers: int, decoder_layers: int
    ) -> VarianceProfile:
        """Read the text format of Transformer-Clinic: lines ``index omega``, encoder then decoder.

        Files of DeepNet's release have no index: lines ``omega``.

        Parameters
        ----------
        path : path
        encoder_layers, decoder_layers : int
            Of the model that the file belongs to. Encoder layers have 2 lines, decoder layers 3, or 2 where
            there is no encoder.

        Returns
        -------
        VarianceProfile
            Its variances are nan, for the format has none; `Transformer.set_omega` takes it.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it does not hold these layers, in order, with finite numbers.
        """
        layers = {
            "encoder": check_integer("encoder_layers", encoder_layers, 0, MAX_LAYERS),
            "decoder": check_integer("decoder_layers", decoder_layers, 0, MAX_LAYERS),
        }
        counts = {
            stack: number * _per_layer(stack, layers["encoder"] > 0)
            for stack, number in layers.items()
            if number
        }
        if not counts:
            raise ValueError("encoder_layers and decoder_layers must not both be 0")
        values = _read_clinic(path, [index for count in counts.values() for index in range(1, count + 1)])
        tables, start = {}, 0
        for stack, count in counts.items():
            unknown = np.full(count, math.nan)
            omega = values[start : start + count]
            tables[stack] = {"var_input": unknown, "var_branch": unknown, "omega": omega}
            start += count
        return cls.from_arrays(tables, scheme="admin", method="file")


def _check_table(stack: str, table: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(table, Mapping) or set(table) != {"name", *COLUMNS}:
        raise ValueError(f"columns of the {stack} must be name, {', '.join(COLUMNS)}, got {shown(table)}")
    checked: dict[str, Any] = {"name": tuple(str(name) for name in table["name"])}
    for column in COLUMNS:
        values = np.array(table[column], dtype=np.float64)
        if values.shape != (len(checked["name"]),) or values.size == 0:
            raise ValueError(
                f"{column} of the {stack} must have shape ({len(checked['name'])},) and an element, got "
                f"{values.shape}"
            )
        checked[column] = values
    if not np.all(np.isfinite(checked["omega"])):
        bad = int(np.flatnonzero(~np.isfinite(checked["omega"]))[0])
        raise ValueError(f"omega of {checked['name'][bad]} must be finite, got {checked['omega'][bad]}")
    return checked


def _per_layer(stack: str, has_encoder: bool) -> int:
    return 3 if stack == "decoder" and has_encoder else 2


def _names(stack: str, count: int, per_layer: int) -> tuple[str, ...]:
    kinds = ("self_attn", "feed_forward") if per_layer == 2 else ("self_attn", "cross_attn", "feed_forward")
    return tuple(f"{stack}.{index // per_layer}.{kinds[index % per_layer]}" for index in range(count))


def _read_clinic(path: str | os.PathLike[str], indices: list[int]) -> NDArray[np.float64]:
    """The numbers of a file whose lines must begin with these indices."""
    where = str(path_of(path))
    try:
        text = read_plain(where).decode("ascii")
    except UnicodeDecodeError:
        raise ValueError(f"{where!r} is not a profile of lines 'index omega': it is not plain text") from None
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) != len(indices):
        raise ValueError(f"{where!r} has {len(lines)} lines, expected {len(indices)} for these layers")
    if lines and all(len(words) == 1 for _, words in lines):
        lines = [
            (number, [str(index), *words]) for (number, words), index in zip(lines, indices, strict=True)
        ]
    values = np.empty(len(indices))
    for place, ((number, words), index) in enumerate(zip(lines, indices, strict=True)):
        try:
            first, second = (float(word) for word in words)
        except ValueError:
            raise ValueError(
                f"{where!r}, line {number}: expected 'index omega', got {shown(' '.join(words))}"
            ) from None
        if first != index:
            raise ValueError(f"{where!r}, line {number}: expected sub-layer {index}, got {words[0]}")
        if not math.isfinite(second):
            raise ValueError(f"{where!r}, line {number}: omega must be finite, got {words[1]}")
        values[place] = second
    return values


def _own_names(names: Mapping[str, Any], stack: str) -> tuple[str, ...]:
    if stack not in names:
        raise ValueError(f"names must be of every stack of tables, got none of the {stack}")
    return tuple(check_text("names", one) for one in check_listed("names", names[stack], "names"))
