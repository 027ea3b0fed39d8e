"""Tables as CSV, safe to be opened in a spreadsheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admin_py.base.printable import csv_text

if TYPE_CHECKING:
    import pandas as pd


def to_csv(table: pd.DataFrame) -> str:
    r"""A table as CSV, without its index; text that a spreadsheet would compute begins with an apostrophe.

    Examples
    --------
    >>> import pandas as pd
    >>> to_csv(pd.DataFrame({"piece": ["=1+1", "a\x1b"], "loss": [-0.5, 2.0]})).splitlines()
    ['piece,loss', "'=1+1,-0.5", 'a\\x1b,2.0']
    """
    import pandas as pd

    kept = [table.iloc[:, i] for i in range(table.shape[1])]
    safe = [
        one
        if pd.api.types.is_numeric_dtype(one)  # numbers are left alone, minus signs and all
        else pd.Series([_cell(value) for value in one], index=one.index, dtype=object)
        for one in kept
    ]
    told = pd.concat(safe, axis=1) if safe else table
    told.columns = pd.Index([_cell(name) for name in table.columns])
    return told.to_csv(index=False)


def _cell(value: Any) -> Any:
    return csv_text(value) if isinstance(value, str) else value
