"""What every result has in common: frozen fields, metadata, stacks, a table, a figure, an exact file.

A result is a frozen dataclass whose fields are NumPy arrays, numbers, strings, and mappings or tuples of
these. Files are strict JSON: floats are written with all their digits and values that are not finite as
strings, so that what is loaded equals what was saved, bit for bit. A file is written aside, flushed to the
disk and renamed, so that a reader sees the old one or the new one whole; it ends with a digest, and what is
read is checked by the types that a class declares.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from admin_py.base import documents
from admin_py.base.arguments import door
from admin_py.base.checks import shown
from admin_py.base.documents import place_in, within
from admin_py.base.encoding import decode_array, decode_float, encode_array
from admin_py.base.field_types import check_fields
from admin_py.base.plain_values import freeze_field, same, thaw
from admin_py.base.printable import printable
from admin_py.base.versions import origin

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R", bound="Result")
T = TypeVar("T")

FORMAT = 1
"""Version of the layout of the JSON files; raised when an old file can no longer be read as it stands."""


def run_metadata(*, seed: int | None = None, dtype: str | None = None, **more: Any) -> dict[str, Any]:
    """Where a result comes from: seed, dtype, kernels, threads and the versions of what computed it.

    Parameters
    ----------
    seed : int, optional
        Of the model or the study.
    dtype : {"float32", "float64"}, optional
        In which the core computed.
    **more
        Further entries, numbers or strings.

    Returns
    -------
    dict
        ``seed``, ``dtype``, what `base.versions.origin` tells, and the further entries.

    Examples
    --------
    >>> sorted(run_metadata(seed=1, dtype="float32"))
    ['blas', 'blas_for', 'dtype', 'kernels', 'seed', 'threads', 'versions']
    """
    return {"seed": seed, "dtype": dtype, **origin(), **more}


def figure(name: str) -> Callable[..., Any]:
    """A function of `admin_py.plots` by its name, imported when a result is drawn.

    The one arrow that points up: results lie below the plots that draw them, and are computed without
    Matplotlib.

    Examples
    --------
    >>> figure("plot_history").__name__
    'plot_history'
    """
    return getattr(importlib.import_module("admin_py.plots"), name)


def encode(value: Any) -> Any:
    """Value as what strict JSON can hold; `decode` is the way back.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, NumPy scalar or array of numbers, mapping with str keys, list or tuple,
        a dataclass of these (written as a mapping), or a `Result` (written with its kind).

    Raises
    ------
    TypeError
        If there is no JSON for it.

    Examples
    --------
    >>> encode({"a": np.array([1.0, np.nan])})
    {'a': {'__array__': 'float64', 'shape': [2], 'data': [1.0, 'nan']}}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else {"__float__": str(number)}
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        return encode_array(value)
    if isinstance(value, Mapping):
        return {_key(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, Result):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"value: no JSON for an object of type {type(value).__name__}")


def decode(value: Any, path: str = "$") -> Any:
    """What `encode` was given, with tuples for lists, read-only arrays and plain dicts for mappings.

    Results come back as results where their class is imported.

    Parameters
    ----------
    value : object
        As JSON has it.
    path : str
        Where it stands, for what is said of it.

    Raises
    ------
    ValueError
        Saying the place and what is wrong there.
    """
    if isinstance(value, list):
        return tuple(decode(item, place_in(path, index)) for index, item in enumerate(value))
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return decode_array(value, path)
    if "__float__" in value:
        return decode_float(value, path)
    kind = value.get("kind")
    if isinstance(kind, str) and "format" in value:
        known = result_classes().get(kind)
        if known is not None:
            try:
                return known.from_dict(value)
            except (TypeError, ValueError) as error:
                raise ValueError(within(path, error)) from None
    return {key: decode(item, place_in(path, key)) for key, item in value.items()}


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"value: the keys of a mapping must be str, got {type(key).__name__}")
    return key


@door
class Result(ABC):
    """What every result is: frozen, with its stacks, a table, a figure, and a file it comes back from.

    A subclass is a ``@dataclass(frozen=True, eq=False)`` with a `kind` and what is abstract here.

    Attributes
    ----------
    metadata : mapping
        Seed, dtype, threads and versions, see `run_metadata`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> found = ap.analysis.gradients(ap.Transformer(config), ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]]))
    >>> isinstance(found, ap.Result), found.stacks, len(found.to_dataframe())
    (True, ('encoder', 'decoder'), 5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found.save(Path(folder) / "gradients.json")
    ...     again = ap.analysis.GradientNorms.load(Path(folder) / "gradients.json")
    >>> again == found
    True
    """

    kind: ClassVar[str]
    drawn_by: ClassVar[str] = ""
    """The function of `admin_py.plots` that takes it; empty where `plot` draws a part of it."""

    metadata: Mapping[str, Any]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("admin_py."):
            door(cls)

    @property
    @abstractmethod
    def stacks(self) -> tuple[str, ...]:
        """The stacks it covers: "encoder", "decoder" or both."""

    @abstractmethod
    def to_dataframe(self) -> pd.DataFrame:
        """The numbers as a table, one row an observation."""

    @abstractmethod
    def plot(self, *args: Any, **options: Any) -> Any:
        """Draw it into given Axes or a new figure's, and return them: one, or an array of several."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, freeze_field(field.name, getattr(self, field.name)))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return all(same(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return _rebuild, (type(self), {name: thaw(getattr(self, name)) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """The result as what JSON can hold, with its kind and the version of the layout."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"kind": self.kind, "format": FORMAT, **encode(fields)}

    @classmethod
    def from_dict(cls: type[R], data: Mapping[str, Any]) -> R:
        """Back from `to_dict`.

        Raises
        ------
        ValueError
            If the mapping is not of this kind of result, or a field is missing or unknown.
        """
        found = data.get("kind") if isinstance(data, Mapping) else type(data).__name__
        if not isinstance(found, str) or found != cls.kind:
            raise ValueError(f"data: expected a result of kind {cls.kind!r}, got {shown(found)}")
        if data.get("format") != FORMAT:
            raise ValueError(f"data: layout {data.get('format')!r} is not {FORMAT}, which this version reads")
        fields = {
            key: decode(value, place_in("$", key))
            for key, value in data.items()
            if key not in ("kind", "format")
        }
        expected = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if fields.keys() != expected:
            odd = sorted(fields.keys() ^ expected)
            raise ValueError(f"data: fields of {cls.kind!r} missing or unknown: {', '.join(odd)}")
        check_fields(cls, fields)
        try:
            found = cls(**fields)
            _check_own_words(found)
            if cls.__module__.startswith("admin_py."):
                repr(found), found.stacks
        except (LookupError, AttributeError, ArithmeticError, TypeError) as error:
            raise ValueError(f"data: the parts of {cls.kind!r} do not fit: {error!r}") from error
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result as JSON, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        documents.write(path, self.to_dict())

    @classmethod
    def load(cls: type[R], path: str | os.PathLike[str]) -> R:
        """Read what `save` wrote; equal to what was saved.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not a result of this kind.
        """
        return read_json(path, cls.from_dict)

    def _check_told(self) -> None:  # noqa: B027  most say nothing of the kind
        """That a result from a file says nothing of itself that it cannot be; ValueError otherwise."""

    def _repr_html_(self) -> str:
        """Heading and table, for notebooks."""
        head = f"<p><strong>{escape(type(self).__name__)}</strong> {escape(self._summary())}</p>"
        table = self.to_dataframe().to_html(index=False, max_rows=20, border=0, float_format="{:.4g}".format)
        # In a narrow notebook the table is moved in its box; words such as an outcome's stay in one line.
        table = table.replace("<td>", '<td style="white-space: nowrap">')
        return printable(f'{head}<div style="overflow-x: auto">{table}</div>', lines=True)

    def _summary(self) -> str:
        """One line for `repr` and the notebook."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._summary()})"


def result_classes() -> dict[str, type[Result]]:
    """Kind -> class, of every class of results that is imported.

    Examples
    --------
    >>> import admin_py
    >>> result_classes()["history"].__name__
    'History'
    """
    found: dict[str, type[Result]] = {}

    def visit(parent: type[Any]) -> None:
        for one in parent.__subclasses__():
            kind = vars(one).get("kind")
            # No class of ours is replaced; a user's is by the next of its kind, as in notebooks.
            if kind is not None and not (kind in found and found[kind].__module__.startswith("admin_py.")):
                found[kind] = one
            visit(one)

    visit(Result)
    return found


def read_json(path: str | os.PathLike[str], parse: Callable[[Any], T]) -> T:
    """Read a JSON file and hand it to `parse`; what is wrong with it names the file and the place.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not JSON, its digest does not fit, or `parse` refuses it.
    """
    with _judging():
        return documents.read(path, parse, doubt=_use)


def result_of(document: documents.Document, kind: type[R]) -> R:
    """A result of this class from its file, parsed already; as `Result.load`.

    Raises
    ------
    ValueError
        If it is not a result of this kind.
    """
    with _judging():
        return document.made(kind.from_dict, doubt=_use)


def _judging() -> AbstractContextManager[Any]:
    """Numbers that make no sense are the reader's to judge."""
    return np.errstate(all="ignore")


def _check_own_words(found: Result) -> None:
    """What a result says of itself; in a file a wrong type is a wrong value."""
    try:
        found._check_told()
    except TypeError as error:
        raise ValueError(str(error)) from None


def _use(value: Any) -> None:
    """Make the tables of a result and its parts: what does not fit together shows when it is read."""
    if isinstance(value, Result):
        value.to_dataframe()
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            _use(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            _use(item)


def _rebuild(cls: type[R], fields: dict[str, Any]) -> R:
    """A result from its fields, in another process or as a copy."""
    return cls(**fields)
