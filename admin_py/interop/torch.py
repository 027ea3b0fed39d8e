"""Models of this package in PyTorch: as a plain module, and Admin for modules of one's own.

`module` and `write` are the ways out, and `padded` makes their batches. `profile` finds omega of any module,
and ``AdminResidual`` (`admin_py.interop.torch_residual`) puts it in.
Nothing here imports PyTorch before it is needed; ``pip install admin-py[pretrained]`` installs it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py.base import tensors
from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, shown
from admin_py.base.extras import installed_by
from admin_py.base.paths import make_folder, path_of
from admin_py.base.whole_files import write_whole
from admin_py.interop.own import settings_of
from admin_py.model.profile import VarianceProfile
from admin_py.results import run_metadata

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer

__all__ = ["module", "padded", "profile", "write"]

CONFIG, CODE, WEIGHTS = "config.json", "model.py", "model.safetensors"
"""Files of a folder."""

METHODS = ("clinic", "paper")


def __getattr__(name: str) -> Any:
    """`AdminResidual`, a class of PyTorch's, when it is asked for."""
    if name != "AdminResidual":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with installed_by("pretrained"):
        from admin_py.interop.torch_residual import AdminResidual
    return AdminResidual


@door
def module(model: Transformer) -> Any:
    """The model as a ``torch.nn.Module``: the same logits and gradients, on any device.

    It is made of PyTorch alone (`admin_py.interop.torch_model`), so it compiles, runs under autocast, trains
    with DistributedDataParallel or FSDP, and is pickled and saved as any other. Its parameters have the
    names that they have here; omega and alpha are parameters where they are trained and buffers where not.

    Parameters
    ----------
    model : Transformer
        It stays as it is: nothing is shared.

    Returns
    -------
    torch.nn.Module
        In the model's dtype, on the CPU, without dropout until ``train()`` is called. It takes ids padded to
        [B, T], with lengths [B] or a mask [B, T]. `admin_py.load_pretrained` brings it back bit for bit.

    Raises
    ------
    ModuleNotFoundError
        Where PyTorch is not installed.

    Examples
    --------
    .. code-block:: python

        module = ap.interop.torch.module(model)
        logits = module(source, target[:, :-1], source_lengths)
        ...                                      # train it
        model = ap.load_pretrained(module)
    """
    with installed_by("pretrained"):
        import torch

        from admin_py.interop import torch_model

    state = {name: torch.from_numpy(value.copy()) for name, value in model.parameters.items()}
    return torch_model.with_weights(settings_of(model.config), state)


@door
def write(model: Transformer, folder: str | os.PathLike[str]) -> None:
    """Write the model as a folder that is used without admin-py.

    Parameters
    ----------
    model : Transformer
    folder : path
        Made if it is not there. ``model.py`` is the code of `module`, ``config.json`` what it is made from,
        ``model.safetensors`` the weights. ``model.load(folder)`` there makes the module, ``model.save``
        writes such a folder, and `admin_py.load_pretrained` reads it.

    Raises
    ------
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> from admin_py.interop.pretrained import load_pretrained
    >>> from admin_py.model.config import TransformerConfig
    >>> from admin_py.model.transformer import Transformer
    >>> config = TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Transformer(config), folder)
    ...     print(sorted(os.listdir(folder)), load_pretrained(folder).config == config)
    ['config.json', 'model.py', 'model.safetensors'] True
    """
    place = path_of(folder, "folder")
    make_folder(place)
    write_whole(place / CODE, Path(__file__).with_name("torch_model.py").read_bytes())
    write_whole(place / CONFIG, json.dumps(settings_of(model.config), indent=1) + "\n")
    tensors.write_foreign(place / WEIGHTS, model.parameters)


@door
def padded(batch: Batch, *, labels: bool = True, device: Any = None) -> tuple[dict[str, Any], Any]:
    """A batch as the module of `interop.torch.module` reads it: ids that are padded, and their lengths.

    Parameters
    ----------
    batch : Batch
    labels : bool
        Whether each sequence that is predicted (the target; of a batch without one the source) is read
        without its last token, and is to be predicted without its first. An encoder predicts nothing: False.
    device : torch.device, str or int, optional
        Where the tensors are; the CPU by default.

    Returns
    -------
    inputs : dict of str to Tensor
        ``module(**inputs)``: ``source`` int64 [B, S] and ``source_mask``, its lengths [B]; ``target`` and
        ``target_mask`` if there is one.
    labels : Tensor or None
        int64 [B, T], -100 for padding, which ``torch.nn.functional.cross_entropy`` leaves out.

    Raises
    ------
    ValueError, TypeError
        If there is no such device.

    Examples
    --------
    .. code-block:: python

        inputs, labels = ap.interop.torch.padded(batch)
        loss = F.cross_entropy(module(**inputs).flatten(0, 1), labels.flatten())  # that of model.loss(batch)
    """
    with installed_by("pretrained"):
        import torch
    try:
        torch.empty(0, device=device)
    except Exception as error:  # of many kinds there, some of many lines
        told = str(error).partition("\n")[0]
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"device must be one of PyTorch's, got {shown(device)}: {told}") from None

    def rows(side: Any, first: int, end: int, value: int) -> tuple[Any, Any]:
        ids = torch.from_numpy(side.tokens.astype("int64"))
        pieces = [ids[a + first : b + end] for a, b in zip(side.offsets[:-1], side.offsets[1:])]
        whole = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True, padding_value=value)
        return whole.to(device), torch.tensor([len(one) for one in pieces]).to(device)

    sides = (
        {"source": batch.source} if batch.target is None else {"source": batch.source, "target": batch.target}
    )
    last, inputs, wanted = [*sides][-1], {}, None
    for name, side in sides.items():
        cut = -1 if labels and name == last else 0
        inputs[name], inputs[f"{name}_mask"] = rows(side, 0, cut, 0)
    if labels:
        wanted, _ = rows(sides[last], 1, 0, -100)
    return inputs, wanted


@door
def profile(
    module: Any,
    batch: Any,
    *,
    sublayers: Any = None,
    real: Any = None,
    method: str = "clinic",
    dropout: bool = True,
    apply: bool = True,
    scheme: str = "admin",
) -> VarianceProfile:
    """Profile the residual additions of any module, and set omega of those that have it.

    Parameters
    ----------
    module : torch.nn.Module
        On whatever device.
    batch : Tensor, tuple or mapping
        What it is called with: ``module(batch)``, ``module(*batch)`` or ``module(**batch)``.
    sublayers : list or mapping, optional
        The additions of a stack in the order in which they are made, or ``"encoder"`` and ``"decoder"`` ->
        these. Each is the name of a module that is called with x and a, as an `AdminResidual`; or a pair of
        names: of the module whose first input is x, and of that whose output is a. By default what the module
        of `interop.torch.module` says itself, or every `AdminResidual`; those with ``decoder`` in their names
        are the decoder's.
    real : Tensor or mapping, optional
        Which tokens count: bool [B, T], or lengths [B] of sequences that are padded on the right; of both
        stacks, or stack -> these. By default all.
    method : {"clinic", "paper"}
        As of `Transformer.profile`. ``"clinic"`` sets omega while it measures: all additions must have one.
    dropout : bool
        Whether dropout is on, as in training; its random numbers are PyTorch's.
    apply : bool
        Whether omega is set; if not, the module stays as it was.
    scheme : str
        What the profile is to be called.

    Returns
    -------
    VarianceProfile
        Its names are those of the modules.

    Raises
    ------
    ValueError, TypeError
        If a sub-layer is not there, is not called, or is called in another order than it was named in.
    ModuleNotFoundError
        Where PyTorch is not installed.

    Examples
    --------
    Of a Post-LN encoder of PyTorch's own, whose skips have no omega to be set:

    .. code-block:: python

        stack = torch.nn.TransformerEncoder(layer, 6)
        names = [pair for n in range(6) for pair in ((f"layers.{n}.self_attn", f"layers.{n}.dropout1"),
                                                     (f"layers.{n}.linear1", f"layers.{n}.dropout2"))]
        ap.interop.torch.profile(stack, x, sublayers=names, method="paper").plot()
    """
    check_choice("method", method, METHODS)
    with installed_by("pretrained"):
        import torch

        from admin_py.interop import torch_profile
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {shown(module)}")
    additions = torch_profile.additions_of(module, sublayers)
    counted = real if isinstance(real, Mapping) else dict.fromkeys(additions, real)
    for stack, one in counted.items():
        if stack not in additions or not (one is None or isinstance(one, torch.Tensor)):
            raise TypeError(
                f"real must be a tensor, or a mapping from {', '.join(additions)} to one, got {shown(real)}"
            )
    tables = torch_profile.measure(
        module, batch, additions, real=counted, clinic=method == "clinic", training=dropout, apply=apply
    )
    return VarianceProfile.from_arrays(
        {stack: tables[stack] for stack in ("encoder", "decoder") if stack in tables},
        scheme=scheme,
        method=method,
        names={stack: tuple(one.name for one in found) for stack, found in additions.items()},
        metadata=run_metadata(dropout=dropout, torch=torch.__version__),
    )
