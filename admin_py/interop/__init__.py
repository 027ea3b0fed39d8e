"""Models of other libraries, and those of this package in them."""

from admin_py.interop import torch
from admin_py.interop.fairseq_writing import to_fairseq
from admin_py.interop.hugging_face import to_hugging_face
from admin_py.interop.pretrained import load_pretrained
from admin_py.interop.torch_nn_writing import to_torch_nn

__all__ = ["load_pretrained", "to_fairseq", "to_hugging_face", "to_torch_nn", "torch"]
