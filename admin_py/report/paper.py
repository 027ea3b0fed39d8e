"""What the paper says of the schemes that were run, and of no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def cited(place: str, schemes: Iterable[str], claims: Mapping[str, str]) -> str:
    """A place of the paper with its claims about these schemes.

    Parameters
    ----------
    place : str
        Figure or section, and what was measured there.
    schemes : iterable of str
        Those that were run.
    claims : mapping
        Scheme -> what the paper says of it there.

    Examples
    --------
    >>> claims = {"post_ln": "Post-LN diverges", "admin": "Admin trains"}
    >>> cited("Figure 1, 18 layers", ["admin", "rezero"], claims)
    'Figure 1, 18 layers: Admin trains.'
    >>> cited("Figure 1, 18 layers", ["rezero"], claims)
    'Figure 1, 18 layers; it tells of none of these schemes.'
    """
    run = set(schemes)
    told = [claim for scheme, claim in claims.items() if scheme in run]
    return f"{place}: {'; '.join(told)}." if told else f"{place}; it tells of none of these schemes."
