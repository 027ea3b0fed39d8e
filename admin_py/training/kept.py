"""The folder in which a training keeps weights: those of its last epochs or steps, and its best ones.

Each file is a model's, written whole, whose header also says of which training and step it is. The checkpoint
of a step is written before the step's weights are kept, and old files are removed after. So a training that
was killed in between finds in its checkpoint what is missing, and goes on as if it had never stopped.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from admin_py.base import documents, tensors
from admin_py.base.checks import LARGEST, MAX_COUNT, check_integer, shown
from admin_py.base.locks import locked
from admin_py.base.paths import absolute_path, fitting_name, longest_name
from admin_py.base.whole_files import FolderNotFlushed, clear_all_aside

LAST, BEST = "last", "best"
"""What a file is kept as: its name begins with it, and ends in its step."""

EPOCH = "epoch"
"""For `keep_every`: at the end of each."""

HEADER = "kept"
"""Entry of a file's header."""

_NAME = re.compile(rf"({LAST}|{BEST})-(\d{{8,12}})\.safetensors")

_ENDING = ".kept"
"""Of the folder beside a checkpoint."""


@dataclass(frozen=True)
class Keeping:
    """Which weights are kept, and where.

    Attributes
    ----------
    folder : Path
    last : int or None
        Files of the last epochs or steps; None keeps none of this kind.
    every : int or None
        Steps between them; None for epochs.
    best : int or None
        Files of the best validations.
    """

    folder: Path
    last: int | None
    every: int | None
    best: int | None


def read_keeping(*, checkpoint: str | None, keep: Any, last: Any, every: Any, best: Any) -> Keeping | None:
    """What the arguments of `train` say; None where nothing is kept.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    last = None if last is None else check_integer("keep_last", last, 1, MAX_COUNT)
    best = None if best is None else check_integer("keep_best", best, 1, MAX_COUNT)
    if isinstance(every, str):
        if every != EPOCH:
            raise ValueError(f"keep_every must be {EPOCH!r} or a number of steps, got {shown(every)}")
        every = None
    else:
        every = check_integer("keep_every", every, 1, MAX_COUNT)
    if last is None and best is None:
        return None
    if keep is not None:
        folder = absolute_path(keep, "keep", what="a folder or None")
    else:
        assert checkpoint is not None
        folder = beside(checkpoint)
    return Keeping(folder, last, every, best)


def beside(checkpoint: str | os.PathLike[str]) -> Path:
    """The folder beside a checkpoint.

    Examples
    --------
    >>> beside("run/checkpoint.safetensors").as_posix()
    'run/checkpoint.safetensors.kept'
    """
    path = Path(checkpoint)
    return path.with_name(fitting_name(f"{path.name}{_ENDING}", longest_name(path.parent)))


# What is there


class KeptFile(NamedTuple):
    """A file of kept weights, told by its name."""

    step: int
    path: Path


Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """What a file's header says of the weights."""

    training: str
    """Digest of what decides the numbers of the training."""
    step: Count
    epoch: Count
    """Epochs that were over."""
    monitor: str | None = None
    value: float | None = None
    larger_is_better: bool = False
    """Of one of the best: by what, and how good."""


def kept_files(folder: str | os.PathLike[str], kind: str) -> list[KeptFile]:
    """The files of a kind in a folder, which need not be there, in the order of their steps."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = [_NAME.fullmatch(name) for name in names]
    return sorted(
        KeptFile(int(one[2]), Path(folder, one[0])) for one in found if one is not None and one[1] == kind
    )


def told_by(path: str | os.PathLike[str]) -> Told:
    """What the header of a file says.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, or no file of kept weights.
    """
    header = tensors.read_header(path)
    if HEADER not in header:
        raise ValueError(f"{os.fspath(path)!r} does not say of which training it is")
    try:
        return documents.convert(documents.parse(header[HEADER]), Told)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} has a damaged header: {error}") from None


# What is written


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A folder for this training alone, made, inside the ``with`` block, without what killed ones left aside.

    Raises
    ------
    OSError
        If it is no folder, or cannot be written.
    InUse
        If another training has it.
    """
    with locked(folder, "keep"):
        clear_all_aside(folder)
        yield


class KeptWeights:
    """The files of one training.

    Parameters
    ----------
    keeping : Keeping
    training : str
        Digest of what decides the numbers of the training.
    """

    def __init__(self, keeping: Keeping, training: str) -> None:
        self.keeping, self._training = keeping, training

    def _all(self) -> list[KeptFile]:
        return [one for kind in (LAST, BEST) for one in kept_files(self.keeping.folder, kind)]

    def check_empty(self) -> None:
        """That a training which begins finds no weights of another one; ValueError otherwise."""
        there = self._all()
        if there:
            raise self._others(there[0].path, f"and {len(there) - 1} more" if len(there) > 1 else "")

    def check_same(self) -> None:
        """That what is there is of this training, which goes on; ValueError otherwise."""
        for one in self._all():
            if told_by(one.path).training != self._training:
                raise self._others(one.path, "")

    def _others(self, path: Path, more: str) -> ValueError:
        return ValueError(
            f"keep: {str(self.keeping.folder)!r} has weights of another training, {path.name} {more}".rstrip()
            + ". Give another folder, or resume=False to begin anew and remove them"
        )

    def begin(self, step: int) -> None:
        """Remove what is of later steps than that from which the training goes on; all of it at step 0."""
        for one in self._all():
            if one.step > step or not step:
                one.path.unlink(missing_ok=True)

    def is_due(self, step: int, *, epoch_ends: bool) -> bool:
        """Whether a step's weights are to be among the last ones."""
        every = self.keeping.every
        return self.keeping.last is not None and (epoch_ends if every is None else step % every == 0)

    def write(self, kind: str, told: dict[str, Any], save: Callable[[Path, dict[str, str]], None]) -> None:
        """Write a step's weights, if they are not there.

        Parameters
        ----------
        kind : {"last", "best"}
        told : dict
            The fields of `Told`, but for the training.
        save : callable
            Writes them to a path, with further entries of the header.

        Raises
        ------
        OSError
            If they cannot be written; all other files are as before.
        """
        path = self.keeping.folder / f"{kind}-{told['step']:08d}.safetensors"
        if path.exists():
            return
        try:
            save(path, {HEADER: json.dumps({"training": self._training, **told}, allow_nan=False)})
        except FolderNotFlushed:
            raise
        except OSError as error:
            raise OSError(
                error.errno or errno.EIO,
                f"the weights of step {told['step']} cannot be kept ({error.strerror or error}), those kept "
                "before are as they were",
                str(path),
            ) from error

    def remove_old(self, best: Collection[int]) -> None:
        """Remove all but the last ones, and all of the best ones but those of these steps."""
        if self.keeping.last is not None:
            for one in kept_files(self.keeping.folder, LAST)[: -self.keeping.last]:
                one.path.unlink(missing_ok=True)
        if self.keeping.best is not None:
            for one in kept_files(self.keeping.folder, BEST):
                if one.step not in best:
                    one.path.unlink(missing_ok=True)
