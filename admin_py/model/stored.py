"""What a model has of copies of itself: in memory, pickled, and as files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.builds import DTYPES
from admin_py.base.checks import check_choice
from admin_py.data.vocabulary import Vocabulary
from admin_py.model import files as model_files
from admin_py.model.config import TransformerConfig
from admin_py.model.undrawn import undrawn

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T", bound="Stored")


@door
class Stored:
    """A model that is copied, pickled, saved and loaded."""

    if TYPE_CHECKING:  # what the model itself has
        step: int
        vocabulary: Vocabulary | None

        def __init__(self, config: TransformerConfig, *, seed: int = ..., dtype: str = ...) -> None: ...
        @property
        def config(self) -> TransformerConfig: ...
        @property
        def dtype(self) -> str: ...
        @property
        def seed(self) -> int: ...
        @property
        def parameters(self) -> Mapping[str, NDArray[Any]]: ...
        def load_state(self, state: Mapping[str, Any], *, allow_nonfinite: bool = ...) -> None: ...

    def copy(self, *, dtype: str | None = None) -> Self:
        """A new model with the same weights, seed and `step`, computing in the same or another dtype.

        ``copy.copy``, ``copy.deepcopy`` and ``pickle`` do the same: configuration, seed, step, dtype and
        weights, omega among them, come along, gradients do not, and nothing is shared. A scheme of one's own
        is pickled as the table that it fills in, see `TransformerConfig.to_dict`.

        Examples
        --------
        >>> import copy, pickle
        >>> from admin_py import Transformer
        >>> config = TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2)
        >>> model = Transformer(config, seed=1)
        >>> others = model.copy(dtype="float64"), copy.copy(model), pickle.loads(pickle.dumps(model))
        >>> model.parameters["embedding.weight"][...] = 0
        >>> [bool(one.parameters["embedding.weight"].any()) for one in others]
        [True, True, True]
        """
        chosen = self.dtype if dtype is None else dtype
        return _build(type(self), self.config, self.seed, chosen, self.parameters, self.step, self.vocabulary)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            self.config.to_dict(),
            self.seed,
            self.dtype,
            dict(self.parameters),
            self.step,
            self.vocabulary,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, configuration, seed and `vocabulary` as a safetensors file, whole or not at all.

        The file is written aside, flushed to the disk and renamed.

        Raises
        ------
        OSError
            If the file cannot be written; an older one is as before.
        """
        model_files.write(
            path,
            self.parameters,
            self.config,
            seed=self.seed,
            step=self.step,
            vocabulary=self.vocabulary,
        )

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, dtype: str | None = None, allow_nonfinite: bool = False
    ) -> Self:
        """Read what `save` wrote. `admin_py.load` opens this and all other files.

        Parameters
        ----------
        path : path
        dtype : {"float32", "float64"}, optional
            In which the model shall compute; by default that of the file.
        allow_nonfinite : bool
            Whether weights that are not finite may be loaded.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is cut off, damaged, or not such a file.
        """
        if dtype is not None:
            check_choice("dtype", dtype, DTYPES)
        saved = model_files.read(path)
        with undrawn():
            model = cls(saved.config, seed=saved.seed, dtype=saved.dtype if dtype is None else dtype)
        try:
            model.load_state(saved.state, allow_nonfinite=allow_nonfinite)
            model.vocabulary = saved.vocabulary
        except (TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)!r} does not hold a whole model: {error}") from None
        model.step = saved.step
        return model


def _build(
    kind: type[T],
    config: TransformerConfig,
    seed: int,
    dtype: str,
    state: Mapping[str, Any],
    step: int,
    vocabulary: Vocabulary | None,
) -> T:
    """A model with these weights, whatever numbers they are."""
    with undrawn():
        model = kind(config, seed=seed, dtype=dtype)
    model.load_state(state, allow_nonfinite=True)
    model.step = step
    model.vocabulary = vocabulary
    return model


def _rebuild(
    kind: type[T],
    config: Mapping[str, Any],
    seed: int,
    dtype: str,
    state: Mapping[str, Any],
    step: int,
    vocabulary: Vocabulary | None = None,
) -> T:
    """A model out of what was pickled, checked."""
    return _build(kind, TransformerConfig.from_dict(config), seed, dtype, state, step, vocabulary)
