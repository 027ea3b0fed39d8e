"""A model that was not trained in a study, as the pictures of a report are drawn of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from admin_py.analysis import Dependency, GradientNorms, OutputChange
from admin_py.experiments.examination.results import Examination
from admin_py.model.profile import VarianceProfile


@dataclass(frozen=True)
class ModelRun:
    """The analyses of one model, under the names that a study's run has for those before its training."""

    scheme: str
    profile: VarianceProfile | None
    examination: Examination

    @property
    def seed(self) -> int:
        """Of the model's weights, or 0."""
        return int(self.examination.metadata.get("seed") or 0)

    @property
    def gradients(self) -> GradientNorms:
        """Not to be asked of an encoder, which has no loss."""
        found = self.examination.gradients
        if found is None:
            raise LookupError(self.examination.without["gradients"])
        return found

    @property
    def dependency_before(self) -> Dependency | None:
        """Of the model as it is."""
        return self.examination.dependency

    @property
    def output_change(self) -> OutputChange | None:
        """Of the model as it is."""
        return self.examination.output_change

    @property
    def without(self) -> Mapping[str, str]:
        """Why there is none, by the names of a study's run."""
        told = self.examination.without
        return {"dependency_before" if name == "dependency" else name: why for name, why in told.items()}


@dataclass(frozen=True)
class Models:
    """One model, or what several schemes make of its weights: one of a scheme."""

    runs: tuple[ModelRun, ...]

    @property
    def schemes(self) -> tuple[str, ...]:
        """In the order of the models."""
        return tuple(run.scheme for run in self.runs)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the model: it is one."""
        return (self.runs[0].seed,)

    def run(self, scheme: str) -> ModelRun:
        """The model of a scheme."""
        return next(run for run in self.runs if run.scheme == scheme)

    def of_scheme(self, scheme: str) -> tuple[ModelRun, ...]:
        """As `run`, where a study has several seeds."""
        return (self.run(scheme),)
