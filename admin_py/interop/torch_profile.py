"""The variance profile of a module of PyTorch, measured by hooks.

As for models of this package (Liu et al., EMNLP 2020, arXiv 2004.08249, section 4, and its release)::

    clinic   acc = 1; for i = 1..R: omega_i = acc, then acc = sqrt(Var(omega_i x_{i-1}) + Var(a_i))
    paper    at omega = 1 throughout: omega_i = sqrt(1 + sum_{j<i} Var(a_j))

Var is the biased variance over all real tokens and features, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from admin_py.base.checks import attribute_of, check_mapping, shown
from admin_py.interop.torch_residual import AdminResidual
from admin_py.model.profile import STACKS

COLUMNS = ("var_input", "var_branch", "omega")


@dataclass(frozen=True)
class Addition:
    """Where one residual addition omega (.) x + a is seen.

    Attributes
    ----------
    name : str
        Of the module whose first input is x, and which has omega if there is one.
    holder : Module
        That module.
    branch : Module or None
        The one whose output is a; None where a is the second input of the first.
    """

    name: str
    holder: nn.Module
    branch: nn.Module | None

    @property
    def omega(self) -> Tensor | None:
        """The scale of the skip, None for 1."""
        found = attribute_of(self.holder, "omega")
        return found if isinstance(found, Tensor) else None

    @property
    def profiled(self) -> bool:
        """Whether omega is to be found; sub-layers of `interop.torch.module` may keep what they have."""
        return bool(attribute_of(self.holder, "profiled", True))


class Measured:
    """The additions of one stack, measured in the order in which they are made.

    Parameters
    ----------
    additions : list of Addition
    real : Tensor or None
        bool [B, T], or lengths [B].
    clinic : bool
        Whether omega is set on the way; else it is 1 throughout where it is to be found.
    """

    def __init__(self, additions: list[Addition], real: Tensor | None, *, clinic: bool) -> None:
        self.additions, self.real, self.clinic = additions, real, clinic
        self.accumulated = 1.0  # clinic: acc; else 1 + sum of Var(a_j)
        self.columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
        self.x: Tensor | None = None

    @property
    def due(self) -> Addition | None:
        """The addition that comes next."""
        place = len(self.columns["omega"])
        return self.additions[place] if place < len(self.additions) else None

    def begin(self, addition: Addition, x: Tensor) -> None:
        """x is there: omega is set before it is used."""
        if addition is not self.due or self.x is not None:
            wanted = "none" if self.due is None else repr(self.due.name)
            raise ValueError(
                f"sublayers must be called once each, in their order: {addition.name!r} was called where "
                f"{wanted} was due"
            )
        if addition.profiled and addition.omega is not None:
            addition.omega.fill_(self.accumulated if self.clinic else 1.0)
        self.x = x

    def end(self, addition: Addition, a: Tensor) -> None:
        """a is there, too."""
        x, self.x = self.x, None
        if x is None or addition is not self.due:
            raise ValueError(
                f"sublayers: the branch of {addition.name!r} was called before the module itself"
            )
        omega = addition.omega
        if addition.profiled:
            value = self.accumulated if self.clinic else math.sqrt(self.accumulated)
        else:
            value = 1.0 if omega is None else float(omega.double().mean())
        branch = self.variance(a)
        for name, one in zip(COLUMNS, (self.variance(x), branch, value), strict=True):
            self.columns[name].append(one)
        if self.clinic:
            self.accumulated = math.sqrt(self.variance(x if omega is None else omega * x) + branch)
        else:
            self.accumulated += branch

    def variance(self, values: Tensor) -> float:
        """Of all features of the real tokens, [B, T, D]."""
        if self.real is not None:
            values = values[real_rows(self.real.to(values.device), values)]
        if values.device.type == "mps":  # has no float64
            values = values.cpu()
        return float(values.double().var(correction=0))


def real_rows(real: Tensor, values: Tensor) -> Tensor:
    """bool [B, T] for values [B, T, D]."""
    if real.ndim == 1:
        return torch.arange(values.shape[1], device=values.device) < real[:, None]
    if real.shape != values.shape[:-1]:
        raise ValueError(
            f"real must have the shape of the activations, {list(values.shape[:-1])}, got {list(real.shape)}"
        )
    return real.bool()


# What is measured


def additions_of(module: nn.Module, sublayers: Any) -> dict[str, list[Addition]]:
    """Stack -> its additions, as they are named, or as the module itself tells.

    Raises
    ------
    ValueError, TypeError
        If there is none, or one is no module's name.
    """
    if sublayers is None:
        sublayers = attribute_of(module, "sublayers") or _residuals_in(module)
    if not isinstance(sublayers, Mapping):
        sublayers = {"encoder": sublayers}
    found = {}
    for stack, names in check_mapping("sublayers", sublayers).items():
        if stack not in STACKS:
            raise ValueError(f"sublayers must be of the stacks {' and '.join(STACKS)}, got {shown(stack)}")
        if isinstance(names, str) or not isinstance(names, Sequence) or not names:
            raise TypeError(f"sublayers of the {stack} must be a list of names, got {shown(names)}")
        found[stack] = [_addition(module, one) for one in names]
    return found


def _residuals_in(module: nn.Module) -> dict[str, list[str]]:
    """Every AdminResidual; a decoder's are those with the word in their names."""
    found: dict[str, list[str]] = {}
    for name, one in module.named_modules():
        if isinstance(one, AdminResidual):
            found.setdefault("decoder" if "decoder" in name.split(".") else "encoder", []).append(name)
    if not found:
        raise ValueError("sublayers must be named: the module has no AdminResidual")
    return found


def _addition(module: nn.Module, names: Any) -> Addition:
    first, second = (names, None) if isinstance(names, str) else _pair(names)
    holder = _module(module, first)
    return Addition(first, holder, None if second is None else _module(module, second))


def _pair(names: Any) -> tuple[str, str]:
    if not isinstance(names, (tuple, list)) or len(names) != 2:
        raise TypeError(f"sublayers must be names of modules or pairs of these, got {shown(names)}")
    return names[0], names[1]


def _module(module: nn.Module, name: Any) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError:
        raise ValueError(
            f"sublayers: there is no module {shown(name)} in the {type(module).__name__}"
        ) from None


# The pass


def measure(
    module: nn.Module,
    batch: Any,
    additions: Mapping[str, list[Addition]],
    *,
    real: Mapping[str, Tensor | None],
    clinic: bool,
    training: bool,
    apply: bool,
) -> dict[str, dict[str, list[float]]]:
    """Stack -> the columns of its profile, from one forward pass; omega is then set, or as it was."""
    for one in (one for stack in additions.values() for one in stack):
        if clinic and one.profiled and one.omega is None:
            raise ValueError(
                f"method='clinic' sets omega on the way, and {one.name!r} has none: make it an "
                "AdminResidual, or take method='paper'"
            )
    stacks = {stack: Measured(found, real.get(stack), clinic=clinic) for stack, found in additions.items()}
    omegas = [one.omega for found in additions.values() for one in found if one.omega is not None]
    before = [one.detach().clone() for one in omegas]
    whole = False
    with torch.no_grad():
        try:
            with _hooked(stacks.values()), _mode(module, training=training):
                _call(module, batch)
            _check_all_called(stacks.values())
            whole = apply
        finally:
            if not whole:
                for one, value in zip(omegas, before, strict=True):
                    one.copy_(value)
        if apply:
            for stack in stacks.values():
                for one, value in zip(stack.additions, stack.columns["omega"], strict=True):
                    if one.profiled and one.omega is not None:
                        one.omega.fill_(value)
    return {stack: found.columns for stack, found in stacks.items()}


def _check_all_called(stacks: Any) -> None:
    for stack in stacks:
        if stack.due is not None:
            raise ValueError(f"sublayers: {stack.due.name!r} was not called, or gave no output of a branch")


@contextmanager
def _hooked(stacks: Any) -> Iterator[None]:
    with ExitStack() as hooks:
        for stack in stacks:
            for one in stack.additions:
                before = one.holder.register_forward_pre_hook(_seen(stack, one), with_kwargs=True)
                hooks.callback(before.remove)
                if one.branch is not None:
                    after = one.branch.register_forward_hook(_given(stack, one))
                    hooks.callback(after.remove)
        yield


def _seen(stack: Measured, addition: Addition) -> Callable[..., None]:
    def hook(module: nn.Module, arguments: Any, options: Any) -> None:
        found = [one for one in (*arguments, *options.values()) if isinstance(one, Tensor)]
        needed = 1 if addition.branch is not None else 2
        if len(found) < needed:
            raise ValueError(f"sublayers: {addition.name!r} must be called with x" + " and a" * (needed == 2))
        stack.begin(addition, found[0])
        if addition.branch is None:
            stack.end(addition, found[1])

    return hook


def _given(stack: Measured, addition: Addition) -> Callable[..., None]:
    def hook(module: nn.Module, arguments: Any, output: Any) -> None:
        stack.end(addition, output[0] if isinstance(output, tuple) else output)

    return hook


@contextmanager
def _mode(module: nn.Module, *, training: bool) -> Iterator[None]:
    """All modules in training or in evaluation, and then as they were."""
    before = {one: one.training for one in module.modules()}
    module.train(training)
    try:
        yield
    finally:
        for one, was in before.items():
            one.training = was


def _call(module: nn.Module, batch: Any) -> None:
    if isinstance(batch, Mapping):
        module(**batch)
    elif isinstance(batch, (tuple, list)):
        module(*batch)
    else:
        module(batch)
