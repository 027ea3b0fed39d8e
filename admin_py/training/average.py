"""The mean of several models' weights, such as those of the last epochs of a training."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, check_integer, shown
from admin_py.base.paths import is_path, path_of
from admin_py.data.vocabulary import Vocabulary
from admin_py.model.config import TransformerConfig
from admin_py.model.state import check_weights
from admin_py.model.transformer import Transformer
from admin_py.model.undrawn import undrawn
from admin_py.training.checkpoint import first_difference
from admin_py.training.kept import BEST, LAST, kept_files, told_by


@door
def average(
    models: str | os.PathLike[str] | Transformer | Iterable[str | os.PathLike[str] | Transformer],
    *,
    last: int | None = None,
    best: int | None = None,
) -> Transformer:
    """The model whose weights are the means of those of several models.

    The means are made in float64, of omega too, and rounded once. One model is in memory at a time, with two
    numbers of float64 a weight beside it, so `models` may be a generator.

    Parameters
    ----------
    models : path, Transformer, or iterable of these
        Models and files of models; with `last` or `best` the folder in which `train` kept them.
    last : int, optional
        Take the last ones of the folder, as many as this; see `keep_last` of `train`.
    best : int, optional
        Take the best ones of the folder, as many as this; see `keep_best` of `train`.

    Returns
    -------
    Transformer
        With the seed of the first and the largest `step`; the mean of equal models has their bits.

    Raises
    ------
    TypeError, ValueError
        Naming the argument; also if models differ in configuration, dtype or vocabulary, if one has weights
        that are not finite, which is named, and if the folder has fewer files.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> config = TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2)
    >>> one, two = Transformer(config, seed=1), Transformer(config, seed=2)
    >>> mean = average([one, two])
    >>> name = "encoder.0.self_attn.q.weight"
    >>> np.allclose(mean.parameters[name], (one.parameters[name] + two.parameters[name]) / 2)
    True
    >>> average(one for _ in range(3)).parameters[name].tobytes() == one.parameters[name].tobytes()
    True
    """
    if last is not None or best is not None:
        models = _picked(models, last, best)
    first, mean = None, None
    step = 0
    for where, model in _opened(models):
        check_weights(model.parameters, where)
        step = max(step, model.step)
        if first is None or mean is None:
            first, mean = _Kind.of(model, where), _Mean(model.parameters)
        else:
            first = first.with_same(model, where)
            mean.add(model.parameters)
        del model  # before the next one is opened
    if first is None or mean is None:
        raise ValueError("models must be one model at least, got none")
    with undrawn():
        made = Transformer(first.config, seed=first.seed, dtype=first.dtype)
    try:
        made.load_state(mean.value())
    except ValueError as error:  # of numbers as large as there are
        raise ValueError(f"models: their mean: {error}") from None
    made.step, made.vocabulary = step, first.vocabulary
    return made


class _Kind(NamedTuple):
    """What all models have in common, and which says so."""

    where: str
    config: TransformerConfig
    dtype: str
    vocabulary: Vocabulary | None
    seed: int

    @classmethod
    def of(cls, model: Transformer, where: str) -> _Kind:
        return cls(where, model.config, model.dtype, model.vocabulary, model.seed)

    def with_same(self, model: Transformer, where: str) -> _Kind:
        """That another model is of this kind; with its vocabulary, where none was known."""
        made, expected = model.config.to_dict(), self.config.to_dict()
        if made != expected:
            name, was, now = first_difference("", expected, made)
            raise self._other(where, name.removeprefix("."), shown(now), shown(was))
        if model.dtype != self.dtype:
            raise self._other(where, "dtype", model.dtype, self.dtype)
        known, given = self.vocabulary, model.vocabulary
        if known is not None and given is not None and known.fingerprint != given.fingerprint:
            raise self._other(where, "vocabulary", str(given), str(known))
        return self._replace(vocabulary=known or given)

    def _other(self, where: str, what: str, now: str, was: str) -> ValueError:
        first = self.where.removeprefix("models: ")
        return ValueError(f"{where} is another kind of model than {first}: its {what} is {now}, not {was}")


class _Mean:
    """The mean of arrays by name: the first, and the sum of what the others differ from it.

    So the mean of what is equal is that, to the bit, and of weights that lie near each other little is lost.
    """

    def __init__(self, first: Mapping[str, NDArray[Any]]) -> None:
        self._first = {name: value.astype(np.float64) for name, value in first.items()}
        self._sums = {name: np.zeros_like(value) for name, value in self._first.items()}
        self._count = 1

    def add(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for name, first in self._first.items():
                self._sums[name] += arrays[name] - first
        self._count += 1

    def value(self) -> dict[str, NDArray[np.float64]]:
        """Name -> mean; nothing can be added after."""
        for name, first in self._first.items():
            sums = self._sums[name]
            sums /= self._count
            np.add(first, sums, out=first, where=sums != 0.0)  # -0.0 + 0.0 would lose its sign
        return self._first


# What is given


def _opened(models: Any) -> Iterator[tuple[str, Transformer]]:
    """Each model with what it is called in errors."""
    single = isinstance(models, Transformer) or is_path(models)
    for i, one in _each([models] if single else models):
        if isinstance(one, Transformer):
            yield f"models: number {i}", one
        elif is_path(one):
            path = path_of(one, "models" if single else f"models: number {i}")
            if path.is_dir():
                raise ValueError(
                    f"models: {str(path)!r} is a folder: last=n or best=n says which of its files are meant"
                )
            yield f"models: {str(path)!r}", Transformer.load(path, allow_nonfinite=True)
        else:
            raise TypeError(f"models must be models or paths of their files, but number {i} is {shown(one)}")
        del one  # before the next one is made


def _each(models: Any) -> Iterator[tuple[int, Any]]:
    """One after the other with its number; what a generator raises while it opens files goes through."""
    wanted = f"models must be a model, a path or several of these, got {shown(models)}"
    try:
        given = iter(models)
    except Exception as error:  # of any class: the value's own code has raised it
        raise TypeError(wanted) from error
    for i in count():
        try:
            one = next(given)
        except StopIteration:
            return
        except (OSError, MemoryError, ValueError, RuntimeError):
            raise
        except Exception as error:
            raise TypeError(wanted) from error
        yield i, one
        del one


def _picked(folder: Any, last: int | None, best: int | None) -> list[Path]:
    """The files of a folder of kept weights that are asked for."""
    if last is not None and best is not None:
        raise ValueError(f"give one of last and best, got last={shown(last)} and best={shown(best)}")
    kind, name, asked = (LAST, "last", last) if best is None else (BEST, "best", best)
    wanted = check_integer(name, asked, 1, MAX_COUNT)
    what = f"the folder of kept weights with {name}={wanted}"
    place = path_of(folder, "models", what=what)
    if not place.is_dir():
        raise ValueError(f"models must be {what}, got {str(place)!r}")
    found = [one.path for one in kept_files(place, kind)]
    if len(found) < wanted:
        raise ValueError(f"{name} is {wanted}, but models {str(place)!r} has {len(found)} files {kind}-*")
    return found[-wanted:] if kind == LAST else _best_of(found)[:wanted]


def _best_of(paths: list[Path]) -> list[Path]:
    """The best first, as their headers say; of equal ones the earlier."""
    told = {path: told_by(path) for path in paths}
    monitors = sorted({str(one.monitor) for one in told.values()})
    if len(monitors) > 1:
        raise ValueError(f"models: the best of {str(paths[0].parent)!r} are by {' and by '.join(monitors)}")

    def rank(path: Path) -> float:
        value = told[path].value
        if value is None:
            raise ValueError(f"models: {str(path)!r} does not say how good it is")
        return -value if told[path].larger_is_better else value

    return sorted(paths, key=rank)
