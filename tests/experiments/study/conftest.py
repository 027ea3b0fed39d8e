"""The data and the study that several tests look at."""

from __future__ import annotations

import pytest
from small_study import SMALL

import admin_py as ap
from admin_py.experiments.study.results import Study
from admin_py.experiments.study.study import study


@pytest.fixture(scope="session")
def data():
    return ap.data.copy_task(train=100, valid=10, symbols=6, max_length=6)


@pytest.fixture(scope="session")
def small(data) -> Study:
    return study(data, schemes=["post_ln", "admin"], seeds=[1, 2], **SMALL)
