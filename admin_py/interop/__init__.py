"""Models of other libraries, and those of this package in them."""

from admin_py.interop import torch
from admin_py.interop.pretrained import load_pretrained

__all__ = ["load_pretrained", "torch"]
