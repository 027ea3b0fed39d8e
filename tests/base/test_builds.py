"""The core is loaded with a short spin, unless the user says otherwise; the environment is left as it was."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOW = """
import os
seen = {}
import importlib
real = importlib.import_module
def spy(name):
    seen[name] = os.environ.get("GOMP_SPINCOUNT")
    return real(name)
importlib.import_module = spy
import admin_py
print(seen["admin_py._core"], os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [({}, "1000 None"), ({"GOMP_SPINCOUNT": "7"}, "7 7"), ({"OMP_WAIT_POLICY": "active"}, "None None")],
)
def test_the_setting_is_there_when_the_core_is_loaded_and_gone_after(setting, expected):
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment | setting, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
