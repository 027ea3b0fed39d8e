"""What one observed forward pass shows: named activations and the variances of every sub-layer."""

from __future__ import annotations

import difflib
import fnmatch
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from admin_py.base import documents, tensors
from admin_py.base.checks import check_mapping, shown
from admin_py.base.mappings import ReadOnlyMapping
from admin_py.base.paths import make_folder, path_of
from admin_py.base.plain_values import frozen_array
from admin_py.results import Result, figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Place = tuple[str, int, str]
"""Stack, index and site of an activation, as the core names it."""


@dataclass(frozen=True, eq=False, repr=False)
class Observation(Result):
    """Activations and statistics of one forward pass, as `Transformer.observe` makes them. Frozen.

    A mapping from names to activations. Its file is a safetensors file: arrays as they are, the rest in the
    header.

    Parameters
    ----------
    activations : mapping
        Name -> array. Of a stack ``encoder.input`` x_0 and ``encoder.output``, after the final norm; of a
        sub-layer such as ``encoder.0.self_attn`` its ``.input`` x_{i-1}, ``.normed`` what its branch reads,
        ``.branch`` a_i, ``.sum`` y_i, ``.output`` x_i, all [M, D], and of attention ``.probabilities``,
        before dropout: a tuple with [H, T_q, T_k] for each sequence; ``logits`` [M_target, V], or an
        encoder's hidden states ``output`` [M, D].
    gradients : mapping
        Name -> gradient of the mean loss with respect to it, of the same shape.
    var_input, var_branch : mapping
        Stack -> Var(x_{i-1}), Var(a_i) over all tokens and features, float64 [R].
    names : mapping
        Stack -> names of its sub-layers.
    metadata : mapping
        Seed, dtype, threads, versions, the scheme, whether dropout was on, and its step.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> seen = ap.Transformer(config).observe(ap.Batch([[4, 5, 6]]), activations="*.branch")
    >>> seen
    Observation(encoder 2 sub-layers; 2 activations, 0.0 MiB)
    >>> seen["encoder.0.feed_forward.branch"].shape, seen.stacks
    ((3, 8), ('encoder',))
    """

    kind: ClassVar[str] = "observation"
    drawn_by: ClassVar[str] = "plot_observation"

    activations: Mapping[str, Any]
    gradients: Mapping[str, NDArray[Any]]
    var_input: Mapping[str, NDArray[np.float64]]
    var_branch: Mapping[str, NDArray[np.float64]]
    names: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("activations", "gradients", "var_input", "var_branch", "names", "metadata"):
            given = check_mapping(name, getattr(self, name))
            object.__setattr__(self, name, ReadOnlyMapping(given))  # arrays are large: they are not copied

        for stack, names in self.names.items():
            for column in (self.var_input, self.var_branch):
                if stack not in column or np.shape(column[stack]) != (len(names),):
                    raise ValueError(f"variances of the {stack} must be of its {len(names)} sub-layers")

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks of the model, of which every sub-layer has its variances, whatever was kept."""
        return tuple(self.names)

    def kinds(self, stack: str) -> tuple[str, ...]:
        """Kind of each sub-layer of a stack: ``self_attn``, ``cross_attn`` or ``feed_forward``.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        if stack not in self.names:
            raise ValueError(f"stack must be one of {', '.join(map(repr, self.names))}, got {shown(stack)}")
        return tuple(name.rpartition(".")[2] for name in self.names[stack])

    def __getitem__(self, name: str) -> Any:
        if name not in self.activations:
            close = difflib.get_close_matches(str(name), self.activations, n=3) or list(self.activations)[:8]
            raise KeyError(f"no activation {shown(name)} was kept; there are {', '.join(close) or 'none'}")
        return self.activations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.activations)

    def __len__(self) -> int:
        return len(self.activations)

    def __repr__(self) -> str:
        arrays = [*self.activations.values(), *self.gradients.values()]
        flat = [one for array in arrays for one in (array if isinstance(array, tuple) else (array,))]
        size = sum(array.nbytes for array in flat)
        sublayers = ", ".join(f"{stack} {len(names)} sub-layers" for stack, names in self.names.items())
        count = f"{len(self)} activations"
        if self.gradients:
            count += f", {len(self.gradients)} gradients"
        return f"Observation({sublayers}; {count}, {size / 2**20:.1f} MiB)"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Var(x) and Var(a) of every sub-layer, see `admin_py.plots.plot_observation`."""
        return figure(self.drawn_by)(self, ax)

    def plot_attention(
        self,
        sublayer: str,
        *,
        sequence: int = 0,
        head: int | None = None,
        ax: Axes | None = None,
        tokens: Sequence[str] | tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> Axes:
        """Map of the attention probabilities of one sub-layer, see `admin_py.plots.plot_attention`.

        Parameters
        ----------
        sublayer : str
            Such as ``"decoder.0.cross_attn"``, whose ``.probabilities`` were kept.
        sequence : int
            Of the batch.
        head : int, optional
            By default the mean over heads.
        ax : matplotlib.axes.Axes, optional
        tokens : sequence of str, or pair of these
            Labels of queries and keys.

        Raises
        ------
        KeyError
            If the probabilities of the sub-layer were not kept.
        IndexError
            If there is no such sequence or head.
        """
        if f"{sublayer}.probabilities" not in self.activations:
            kinds = [name.rpartition(".")[0] for name in self.activations if name.endswith("probabilities")]
            raise KeyError(f"sublayer must be one of {', '.join(kinds) or 'none'}, got {shown(sublayer)}")
        kept = self[f"{sublayer}.probabilities"]
        if not 0 <= sequence < len(kept):
            raise IndexError(f"sequence must be from 0 to {len(kept) - 1}, got {shown(sequence)}")
        maps = kept[sequence]
        if head is not None and not 0 <= head < len(maps):
            raise IndexError(f"head must be from 0 to {len(maps) - 1}, got {shown(head)}")
        drawn = maps.mean(axis=0) if head is None else maps[head]
        which = "mean over heads" if head is None else f"head {head}"
        return figure("plot_attention")(drawn, ax, tokens=tokens, title=f"{sublayer}, {which}")

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {}
        shapes: dict[str, dict[str, int | None]] = {}
        for group in GROUPS:
            shapes[group] = {}
            for name, value in getattr(self, group).items():
                several = isinstance(value, tuple)
                shapes[group][name] = len(value) if several else None
                for number, array in enumerate(value if several else (value,)):
                    arrays[_tensor(group, name, number)] = np.ascontiguousarray(array)
        rest = Observation({}, {}, self.var_input, self.var_branch, self.names, self.metadata).to_dict()
        header = {"arrays": json.dumps(shapes), "observation": json.dumps(rest, allow_nan=False)}
        place = path_of(path)
        make_folder(place.parent)
        tensors.write(place, tensors.OBSERVATION, arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Observation:
        """Read what `save` wrote; equal to what was saved.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not the file of an observation.
        """
        where = str(path_of(path))
        with tensors.opened(where, tensors.OBSERVATION) as file:
            try:
                rest = cls.from_dict(documents.parse(file.header["observation"]))
                counts = _counts(file.header["arrays"], file.entries)
            except KeyError as error:
                raise ValueError(f"path: {where!r} is not a whole observation: {error} is missing") from None
            except (TypeError, ValueError) as error:
                raise ValueError(f"path: {where!r} is not a whole observation: {error}") from None
            arrays = file.read()
        groups = {
            group: {name: _read(arrays, group, name, count) for name, count in counts[group].items()}
            for group in GROUPS
        }
        return cls(**groups, **{name: getattr(rest, name) for name in REST})


GROUPS = ("activations", "gradients")
"""Fields whose arrays are a file's tensors."""

REST = ("var_input", "var_branch", "names", "metadata")
"""Fields in a file's header."""


_Count = Annotated[int, msgspec.Meta(ge=0)] | None
"""How many arrays a name has; None where it is one array and no tuple."""


def _counts(text: str, entries: Collection[str]) -> dict[str, dict[str, int | None]]:
    """Group -> name -> how many arrays, from a header; ValueError where the file's tensors are not these."""
    counts = documents.convert(documents.parse(text), dict[str, dict[str, _Count]])
    if counts.keys() != set(GROUPS):
        raise ValueError(f"its arrays are of {', '.join(counts)}, expected {', '.join(GROUPS)}")
    for group, named in counts.items():
        for name, count in named.items():
            wanted = range(1 if count is None else min(count, len(entries) + 1))
            lacking = [number for number in wanted if _tensor(group, name, number) not in entries]
            if lacking:
                raise ValueError(f"there is no tensor {_tensor(group, name, lacking[0])!r:.80}")
    return counts


def _tensor(group: str, name: str, number: int) -> str:
    """Name of an array in a file."""
    return f"{group}/{name}/{number}"


def _read(arrays: Mapping[str, NDArray[Any]], group: str, name: str, count: int | None) -> Any:
    """An array, or a tuple of so many."""
    kept = (arrays[_tensor(group, name, number)] for number in range(1 if count is None else count))
    found = tuple(frozen_array(array, array.dtype) for array in kept)
    return found[0] if count is None else found


def select(names: Sequence[str], patterns: str | Sequence[str], argument: str = "activations") -> list[str]:
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
    wanted = [patterns] if isinstance(patterns, str) else patterns
    for pattern in wanted:
        if not fnmatch.filter(names, pattern):
            close = ", ".join(difflib.get_close_matches(pattern, names, n=3)) or ", ".join(names[:3])
            raise ValueError(f"{argument}: no name matches {shown(pattern)}; names are such as {close}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)]
