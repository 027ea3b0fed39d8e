"""Models of other libraries."""

from admin_py.interop.pretrained import load_pretrained

__all__ = ["load_pretrained"]
