"""What pytest is to leave alone among the package's own files."""

from importlib.util import find_spec

OF_PYTORCH = ("torch_model", "torch_profile", "torch_residual")
"""Modules of admin_py/interop that are imported where PyTorch is."""

collect_ignore = [f"admin_py/interop/{name}.py" for name in OF_PYTORCH if not find_spec("torch")]
