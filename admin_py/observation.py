"""What one observed forward pass shows: named activations and the variances of every sub-layer."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from admin_py.config import TransformerConfig

Place = tuple[str, int, str]
"""Stack, index and site of an activation, as the core names it."""


@dataclass(frozen=True, eq=False, repr=False)
class Observation:
    """Activations and statistics of one forward pass. Frozen.

    Parameters
    ----------
    activations : mapping
        Name -> array: ``encoder.input`` x_0 [M, D], ``encoder.0.self_attn.branch`` a_i and
        ``encoder.0.self_attn.output`` x_i [M, D], and so on; ``output``, the logits [M_target, V] or an
        encoder's hidden states [M, D].
    var_input, var_branch : mapping
        Stack -> Var(x_{i-1}), Var(a_i) over all tokens and features, float64 [R].
    names : mapping
        Stack -> names of its sub-layers.
    """

    activations: Mapping[str, NDArray[Any]]
    var_input: Mapping[str, NDArray[np.float64]]
    var_branch: Mapping[str, NDArray[np.float64]]
    names: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for name in ("activations", "var_input", "var_branch", "names"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.activations:
            known = list(self.activations)
            shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
            raise KeyError(f"no activation {name!r} was kept; there are {shown or 'none'}")
        return self.activations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.activations)

    def __len__(self) -> int:
        return len(self.activations)

    def __repr__(self) -> str:
        size = sum(array.nbytes for array in self.activations.values())
        sublayers = ", ".join(f"{stack} {len(names)} sub-layers" for stack, names in self.names.items())
        return f"Observation({sublayers}; {len(self)} activations, {size / 2**20:.1f} MiB)"

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each sub-layer: stack, index (from 1), name, var_input, var_branch."""
        import pandas as pd

        parts = [
            pd.DataFrame(
                {
                    "stack": stack,
                    "index": np.arange(1, len(names) + 1),
                    "name": names,
                    "var_input": self.var_input[stack],
                    "var_branch": self.var_branch[stack],
                }
            )
            for stack, names in self.names.items()
        ]
        return pd.concat(parts, ignore_index=True)


def places(config: TransformerConfig) -> dict[str, Place]:
    """Where the core keeps each activation of a model, in the order of the pass."""
    found: dict[str, Place] = {}
    for stack in config.stacks:
        found[f"{stack}.input"] = (stack, 0, "output")
        for index, name in enumerate(config.sublayer_names(stack), start=1):
            found[f"{name}.branch"] = (stack, index, "branch")
            found[f"{name}.output"] = (stack, index, "output")
    return found


def select(names: Sequence[str], patterns: str | Sequence[str]) -> list[str]:
    """The names that match any of the patterns (``*`` and ``?`` as in a shell).

    Raises
    ------
    ValueError
        If a pattern matches none.

    Examples
    --------
    >>> select(["encoder.input", "encoder.0.self_attn.branch"], "*.branch")
    ['encoder.0.self_attn.branch']
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in wanted:
        if not isinstance(pattern, str):
            raise TypeError(f"activations must be patterns of names, got {pattern!r}")
        if not fnmatch.filter(names, pattern):
            raise ValueError(
                f"activations: no name matches {pattern!r}; names are such as {', '.join(names[:3])}"
            )
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)]
