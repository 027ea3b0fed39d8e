"""The grid that several tests look at."""

from __future__ import annotations

import pytest
from small_grid import DATA, SMALL

import admin_py as ap
from admin_py.experiments.grid.results import Grid


@pytest.fixture(scope="session")
def small() -> Grid:
    return ap.grid(DATA, schemes=["post_ln", "admin"], lr=[1e-3, 1e-2], seeds=[1, 2], **SMALL)
