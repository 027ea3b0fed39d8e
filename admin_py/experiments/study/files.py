"""The folder of a study: ``study.json``, and for each run ``runs/NAME`` with its results and its model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from admin_py.base import documents
from admin_py.base.paths import absolute_path
from admin_py.experiments.kept_models import MODEL_FILE, keep_model, put_model
from admin_py.experiments.translations import Translations, put_translations, read_translations
from admin_py.model.transformer import Transformer
from admin_py.results import Result, read_json

STUDY_FILE, RUNS_FOLDER, RUN_FILE = "study.json", "runs", "run.json"
CHECKPOINT, TRANSLATIONS_FILE = "checkpoint.safetensors", "translations.json"

OLD = "the run was made before the package took it down"


def save_run(
    folder: str | os.PathLike[str],
    own: Mapping[str, Any],
    results: Mapping[str, Result],
    translations: Translations | None,
) -> None:
    """Write a run's results, each in a file, and last ``run.json``, which says that it is whole."""
    base = absolute_path(folder, "folder")
    for name, result in results.items():
        result.save(base / f"{name}.json")
    put_translations(base / TRANSLATIONS_FILE, translations)
    documents.write(base / RUN_FILE, own)


def load_run(
    folder: str | os.PathLike[str],
    from_dict: Callable[[Any], Any],
    kinds: Mapping[str, type[Result]],
    optional: Iterable[str],
) -> Any:
    """Read what `save_run` wrote; a run that was made before a result was taken down is without it.

    Raises
    ------
    OSError
        If a file is missing.
    ValueError
        If a file is not what it should be.
    """
    base = absolute_path(folder, "folder")

    def parse(own: Any) -> Any:
        if not isinstance(own, dict):
            raise ValueError("expected a study run")
        lacking = documents.convert(own.get("without") or {}, dict[str, str], "$.without")
        for name in optional:
            if not (base / f"{name}.json").exists():
                lacking.setdefault(name, OLD)
        results = {
            name: kind.load(base / f"{name}.json").to_dict()
            for name, kind in kinds.items()
            if name not in lacking or name not in optional
        }
        return from_dict({**own, **results, "without": lacking})

    run = read_json(base / RUN_FILE, parse)
    translations = read_translations(base / TRANSLATIONS_FILE)
    if translations is not None:
        run = replace(run, translations=translations)
    keep_model(run, base / MODEL_FILE)
    return run


class StudyFiles:
    """How a study lies in a folder.

    Parameters
    ----------
    from_dict : callable
        A study from what its header holds.
    load_run : callable
        A run from its folder.
    """

    what, unit = "study", "run"

    def __init__(
        self, from_dict: Callable[[Mapping[str, Any]], Any], load_run: Callable[[Path], Any]
    ) -> None:
        self._from_dict, self._load_run = from_dict, load_run

    def there(self, folder: Path) -> bool:
        """Whether the folder has a study."""
        return (folder / STUDY_FILE).exists()

    def header(self, folder: str | os.PathLike[str]) -> Any:
        """The study without its runs."""
        return read_json(Path(folder) / STUDY_FILE, self._from_dict)

    def save_header(self, folder: str | os.PathLike[str], cross: Any) -> None:
        """Write what a study is, without its runs."""
        documents.write(Path(folder) / STUDY_FILE, replace(cross, runs=()).to_dict())

    def names(self, folder: Path) -> list[str]:
        """Of all runs that are whole."""
        return sorted(path.parent.name for path in (folder / RUNS_FOLDER).glob(f"*/{RUN_FILE}"))

    def member(self, folder: Path, name: str) -> Any | None:
        """A run if it is whole."""
        base = run_folder(folder, name)
        return self._load_run(base) if (base / RUN_FILE).exists() else None

    def save(self, folder: Path, name: str, found: Any) -> Any:
        """Write a run, with its model if that is kept; returns it as it would be loaded."""
        base = run_folder(folder, name)
        _write(base, found.result, found.model)
        keep_model(found.result, base / MODEL_FILE)
        return found.result

    def save_members(self, folder: Path, cross: Any) -> None:
        """Write all runs, with the models that they have."""
        for run in cross.runs:
            _write(run_folder(folder, run.name), run, run.model)

    def translations(self, folder: Path, name: str) -> Path:
        """Where a run's translations are, if it has any."""
        return run_folder(folder, name) / TRANSLATIONS_FILE

    def model(self, folder: Path, name: str) -> Path:
        """Where a run's model is, if it was kept."""
        return run_folder(folder, name) / MODEL_FILE

    def checkpoint(self, folder: Path, name: str) -> Path:
        """Where a run that is not whole keeps its training."""
        return run_folder(folder, name) / CHECKPOINT


def run_folder(folder: str | os.PathLike[str], name: str) -> Path:
    """Where a run is kept."""
    return Path(folder) / RUNS_FOLDER / name


def _write(folder: Path, run: Any, model: Transformer | None) -> None:
    """A run's files. None says that it is whole while its model is written: a whole one has its own."""
    (folder / RUN_FILE).unlink(missing_ok=True)
    put_model(folder / MODEL_FILE, model)
    run.save(folder)
