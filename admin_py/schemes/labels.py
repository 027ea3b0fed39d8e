"""Names of schemes for people: in legends, tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping

from admin_py.base.printable import printable

LABELS: Mapping[str, str] = {
    "post_ln": "Post-LN",
    "ds_init": "DS-Init",
    "b2t": "B2T",
    "keel": "Keel",
    "pre_ln": "Pre-LN",
    "layer_scale": "LayerScale",
    "layernorm_scaling": "LayerNorm scaling",
    "deep_scale_lm": "DeepScaleLM",
    "admin": "Admin",
    "admin_torch": "admin-torch",
    "admin_torch_trained": "admin-torch (trained)",
    "admin_torch_1": "admin-torch 1",
    "admin_torch_1_trained": "admin-torch 1 (trained)",
    "admin_torch_n": "admin-torch n",
    "admin_torch_n_trained": "admin-torch n (trained)",
    "deepnorm": "DeepNorm",
    "sub_ln": "Sub-LN",
    "rezero": "ReZero",
    "rezero_post_ln": "ReZero + Post-LN",
    "looks_linear": "looks-linear",
    "t_fixup": "T-Fixup",
    "sandwich": "Sandwich",
    "mix_ln": "Mix-LN",
}
"""Name of a built-in scheme -> how papers write it."""


def label(scheme: str) -> str:
    r"""Name of a scheme for people; of a hybrid both parts; a user's scheme keeps its own name.

    Examples
    --------
    >>> label("post_ln"), label("post_ln/pre_ln"), label("mine")
    ('Post-LN', 'Post-LN / Pre-LN', 'mine')
    >>> print(label("mi\x1bne"))
    mi\x1bne
    """
    return printable(" / ".join(LABELS.get(part, part) for part in scheme.split("/")))
