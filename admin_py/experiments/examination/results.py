"""What was found of one model: its analyses, what Admin would make of it, a table by sub-layer, a page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis.dependency import Dependency
from admin_py.analysis.diagnosis.results import Diagnosis
from admin_py.analysis.gradients import GradientNorms
from admin_py.analysis.output_change import OutputChange
from admin_py.base.checks import check_mapping
from admin_py.model.profile import VarianceProfile
from admin_py.results import Result, figure
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    import pandas as pd

MEASURES: Mapping[str, type[Result]] = {
    "profile": VarianceProfile,
    "admin": VarianceProfile,
    "gradients": GradientNorms,
    "dependency": Dependency,
    "output_change": OutputChange,
}
"""Result that an examination may be without -> its class."""

NOT_COMPUTED = "it was not computed"


@dataclass(frozen=True, eq=False, repr=False)
class Examination(Result):
    """What `examine` found of one model. Frozen.

    Attributes
    ----------
    name : str
        Of the model, as it was given.
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    config : mapping
        Of the model, as `TransformerConfig.to_dict` gives it.
    num_parameters : int
        Trained ones.
    num_tokens : int
        That were read, of all sides.
    diagnosis : Diagnosis
        Is it likely to train, what speaks against it.
    profile : VarianceProfile or None
        Variances and omega as they are in the model.
    admin : VarianceProfile or None
        What Admin makes of the same weights: the omega that it would set; of Post-LN models.
    gradients : GradientNorms or None
    dependency : Dependency or None
    output_change : OutputChange or None
        Of random changes of the weights.
    without : mapping of str to str
        Name of a result that is None, to why it is so.
    metadata : mapping
        Seed, dtype, kernels, threads, versions.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=2, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> found = ap.examine(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]]))
    >>> found.scheme, found.diagnosis.level, len(found.to_dataframe())
    ('post_ln', 'stable', 10)
    """

    kind: ClassVar[str] = "examination"

    name: str
    scheme: str
    config: Mapping[str, Any]
    num_parameters: int
    num_tokens: int
    diagnosis: Diagnosis
    profile: VarianceProfile | None = None
    admin: VarianceProfile | None = None
    gradients: GradientNorms | None = None
    dependency: Dependency | None = None
    output_change: OutputChange | None = None
    without: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = check_mapping("without", self.without)
        lacking = [name for name in MEASURES if getattr(self, name) is None]
        object.__setattr__(self, "without", {name: given.get(name, NOT_COMPUTED) for name in lacking})
        super().__post_init__()

    @property
    def stacks(self) -> tuple[str, ...]:
        """Stacks of the model."""
        return self.diagnosis.stacks

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (1..R), name, kind, then what was measured of it.

        ``var_input``, ``var_branch`` and ``omega`` of the profile, ``admin_omega``, ``beta2`` (measured),
        ``dependency_on_input`` (the share of the stack's input in this output), ``grad_norm`` and
        ``output_change`` (mean over the draws); a column is there where its result is.
        """
        import pandas as pd

        tables = []
        for stack in self.stacks:
            names = self.diagnosis.sublayers[stack]
            columns: dict[str, Any] = {
                "stack": stack,
                "index": range(1, len(names) + 1),
                "name": names,
                "kind": self.diagnosis.kinds(stack),
            }
            if self.profile is not None:
                columns["omega"] = self.profile.omega(stack)
                columns["var_input"] = self.profile.var_input(stack)
                columns["var_branch"] = self.profile.var_branch(stack)
            if self.admin is not None:
                columns["admin_omega"] = self.admin.omega(stack)
            columns["beta2"] = self.diagnosis.own(stack)
            if self.dependency is not None:
                columns["dependency_on_input"] = np.square(self.dependency.beta(stack)[:, 0])
            if self.gradients is not None:
                columns["grad_norm"] = self.gradients.outputs[stack][1:]
            if self.output_change is not None:
                columns["output_change"] = self.output_change.mean(stack)
            tables.append(pd.DataFrame(columns))
        return pd.concat(tables, ignore_index=True)

    def plot(self, axes: Any = None) -> np.ndarray:
        """Amplification and gradients by depth, see `admin_py.plots.plot_diagnosis`."""
        return figure("plot_diagnosis")(self.diagnosis, axes)

    def report(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``report.html`` into a folder, one file that needs no network; returns its path.

        As `Study.report`, a door upwards.
        """
        from admin_py.report.model_page import write_model_page

        return write_model_page(self, folder)

    def _summary(self) -> str:
        told = f"{self.name}, " if self.name else ""
        lacking = f", without {', '.join(self.without)}" if self.without else ""
        return (
            f"{told}{label(self.scheme)}, {self.num_parameters:,} parameters: {self.diagnosis.level}{lacking}"
        )
