"""The one engine of experiments: trains what is missing, keeps it in a folder, goes on after any stop."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from admin_py.base.checks import check_bool, check_integer
from admin_py.base.locks import locked
from admin_py.base.paths import absolute_path
from admin_py.base.plain_values import same
from admin_py.base.scratch import clear_scratch
from admin_py.base.streams import say
from admin_py.base.threads import MAX_THREADS
from admin_py.base.threads import threads as threads_of_core
from admin_py.base.whole_files import clear_all_aside
from admin_py.data.vocabulary import DIGITS
from admin_py.experiments.cross import Cross, axes_of, grown, in_order
from admin_py.experiments.jobs import Job, plan_jobs
from admin_py.experiments.kept_models import keep_model
from admin_py.experiments.pool import pool
from admin_py.experiments.progress import Progress
from admin_py.experiments.settings import describe
from admin_py.experiments.shard import Shard, read_shard
from admin_py.experiments.train_job import Trained, Way
from admin_py.experiments.translations import lacks_translations, put_translations
from admin_py.experiments.workers import TRIES, Task, Work, WorkerDied, check_sendable, do_here, do_in
from admin_py.results import decode, encode, run_metadata
from admin_py.training.plan import check_callbacks

if TYPE_CHECKING:
    from admin_py.data import Dataset

MAX_WORKERS = 1024

C = TypeVar("C", bound=Cross)


class Kept(Protocol):
    """How a kind of cross lies in a folder."""

    what: str
    """ "study" or "grid"."""
    unit: str
    """ "run" or "cell"."""

    def there(self, folder: Path) -> bool:
        """Whether the folder has such a cross."""

    def header(self, folder: Path) -> Any:
        """It, without its members."""

    def save_header(self, folder: Path, cross: Any) -> None:
        """Write it, without its members."""

    def names(self, folder: Path) -> list[str]:
        """Of all that are whole."""

    def save_members(self, folder: Path, cross: Any) -> None:
        """Write all members, with the models that they have."""

    def member(self, folder: Path, name: str) -> Any | None:
        """One, if it is whole."""

    def save(self, folder: Path, name: str, found: Trained) -> Any:
        """Write one, with its model if that is kept; returns it as it would be loaded."""

    def translations(self, folder: Path, name: str) -> Path:
        """Where the translations of one are, if it has any."""

    def model(self, folder: Path, name: str) -> Path:
        """Where the model of one is, if it was kept."""

    def checkpoint(self, folder: Path, name: str) -> Path:
        """Where one that is not whole keeps its training."""


@dataclass(frozen=True)
class Places:
    """Where and how the trainings of a call are done: the arguments that studies and grids share, checked.

    Attributes
    ----------
    executor : object or None
    workers, threads : int or None
    callbacks : tuple of callable
    keep_models : bool
    folder : Path or None
    progress : bool
    shard : Shard or None
        Which part of the trainings this call does.
    """

    executor: Any
    workers: int | None
    threads: int | None
    callbacks: tuple[Any, ...]
    keep_models: bool
    folder: Path | None
    progress: bool
    shard: Shard | None = None

    @classmethod
    def checked(
        cls,
        *,
        executor: Any,
        workers: Any,
        threads: Any,
        callbacks: Iterable[Callable[..., Any]],
        keep_models: Any,
        out: str | os.PathLike[str] | None,
        progress: Any,
        shard: Any = None,
    ) -> Places:
        """From what was given.

        Raises
        ------
        TypeError, ValueError
            Naming the argument, what was given and what was expected.
        """
        if workers is not None:
            workers = check_integer("workers", workers, 1, MAX_WORKERS)
            if executor is not None:
                raise ValueError("give executor or workers, not both")
        if threads is not None:
            threads = check_integer("threads", threads, 1, MAX_THREADS)
        part = read_shard(shard)
        if part is not None and out is None:
            raise ValueError(f"shard goes with a folder that all parts share, out=, got {shard!r} alone")
        return cls(
            executor=executor,
            workers=workers,
            threads=threads,
            callbacks=check_callbacks(callbacks),
            keep_models=check_bool("keep_models", keep_models),
            folder=None if out is None else absolute_path(out, "out", what="a path or None"),
            progress=check_bool("progress", progress),
            shard=part,
        )


class Engine(Generic[C]):
    """One call of `study` or `grid`.

    Parameters
    ----------
    data : Dataset
    given : mapping
        All arguments of the table of settings.
    make : callable
        The empty cross, from its fields.
    more : mapping
        Settings of this kind of cross alone.
    task : Task
        What is done with every job.
    kept : Kept
        How it lies in a folder.
    places : Places
    """

    def __init__(
        self,
        data: Dataset,
        given: dict[str, Any],
        *,
        make: Callable[..., C],
        more: dict[str, Any],
        task: Task,
        kept: Kept,
        places: Places,
    ) -> None:
        self.data, self.task, self.kept, self.places = data, task, kept, places
        self.jobs, fixed = plan_jobs(data, given)
        self.cross: C = make(
            settings={**fixed, **more},
            axes=axes_of(job.values for job in self.jobs),
            asked=tuple(job.name for job in self.jobs),
            data=describe(data),
            metadata=run_metadata(dtype=fixed["dtype"]),
        )
        if places.shard is not None:
            self.jobs = places.shard.of(self.jobs)
        self.members: dict[str, Any] = {}
        self._shown: Progress | None = None

    def run(self) -> C:
        """Train what is missing; the cross with all that is whole.

        Raises
        ------
        ValueError
            If the folder holds another cross, or a job cannot be sent to where it is trained.
        RuntimeError
            If the folder is in use, a worker has died or a job has failed; what is whole is kept.
        OSError
            If the folder cannot be written.
        """
        folder, workers = self.places.folder, self.places.workers
        if self.places.executor is not None or workers is not None:
            check_sendable(self.places.executor, self._work(self.jobs), own_pool=workers is not None)
        clear_scratch()
        with self._held():
            if folder is not None:
                self._clear_left(folder)
                self._begin(folder)
            missing = self._missing()
            if workers is None or not missing:
                stopped = self._train(self.places.executor, missing)
            else:
                stopped = self._train_in_pools(workers)
            if stopped and self.places.progress:
                whole = f"{len(self.members)} of {len(self.jobs)} {self.kept.unit}s are whole"
                say(f"stopped: {whole}")
            if folder is None:
                return self.cross.with_members(in_order(self.members.values(), self.cross.axes))
            return load(self.kept, folder)

    def _held(self) -> AbstractContextManager[None]:
        """The folder, or this part of it, for this process alone."""
        folder, shard = self.places.folder, self.places.shard
        if folder is None:
            return nullcontext()
        return locked(folder) if shard is None else shard.held(folder)

    def _work(self, jobs: Sequence[Job]) -> Work:
        return Work(jobs, [self._way(job) for job in jobs], self.task, self.data, self.places.threads)

    def _way(self, job: Job) -> Way:
        folder, here = self.places.folder, self.places.executor is None and self.places.workers is None
        return Way(
            checkpoint=None if folder is None else str(self.kept.checkpoint(folder, job.name)),
            callbacks=self.places.callbacks,
            progress=self.places.progress and here and self.task.shows_training,
            whole=self.members.get(job.name),
            model=None if folder is None else str(self.kept.model(folder, job.name)),
        )

    def _missing(self) -> list[Job]:
        return [job for job in self.jobs if self._is_due(job)]

    def _train_in_pools(self, workers: int) -> bool:
        """Train what is missing, in a new pool where a worker has died: what was whole is not done again."""
        for tries_left in reversed(range(TRIES)):
            missing = self._missing()
            try:
                with pool(min(workers, len(missing))) as processes:
                    return self._train(processes, missing)
            except WorkerDied:
                if not tries_left:
                    raise
                if self.places.progress:
                    say(
                        f"a worker process has died: {len(self._missing())} {self.kept.unit}s go on in others"
                    )
        return False

    def _is_due(self, job: Job) -> bool:
        """Whether it is to be trained, or to be translated."""
        member = self.members.get(job.name)
        return member is None or (self.task.translating is not None and lacks_translations(member))

    def _train(self, executor: Any, jobs: list[Job]) -> bool:
        """Returns whether Ctrl-C came before the last was whole."""
        there, threads = len(self.jobs) - len(jobs), self.places.threads
        work = self._work(jobs)
        bar = executor is not None or not any(way.progress for way in work.ways)
        self._shown = Progress(
            len(self.jobs),
            there,
            what=self.kept.what,
            unit=self.kept.unit,
            enabled=self.places.progress,
            bar=bar,
        )
        for way in work.ways:
            if way.checkpoint is not None:
                Path(way.checkpoint).parent.mkdir(parents=True, exist_ok=True)
        try:
            with nullcontext() if threads is None else threads_of_core(threads):
                if executor is None:
                    return do_here(work, self._begins, self._done)
                return do_in(executor, work, self._done)
        finally:
            self._shown.close()

    def _begins(self, job: Job) -> None:
        if self._shown is not None:
            self._shown.begins(job.title)

    def _done(self, job: Job, found: Trained) -> None:
        """Keep what is whole."""
        folder, member = self.places.folder, found.result
        if folder is None:
            keep_model(member, found.model)
        elif job.name in self.members:
            put_translations(self.kept.translations(folder, job.name), member.translations)
            keep_model(member, self.kept.model(folder, job.name))
        else:
            member = self.kept.save(folder, job.name, found)
            self.kept.checkpoint(folder, job.name).unlink(missing_ok=True)
        self.members[job.name] = member
        if self._shown is not None:
            self._shown.done(f"{job.title}: {member.last_words()}")

    # The folder

    def _clear_left(self, folder: Path) -> None:
        """Remove what killed processes have left half-written; of parts that others train, they do so."""
        if self.places.shard is not None:
            return
        files = (self.kept.checkpoint, self.kept.translations)
        places = {file(folder, job.name).parent for job in self.jobs for file in files}
        for place in (folder, *sorted(places)):
            clear_all_aside(place)

    def _begin(self, folder: Path) -> None:
        """Check that the folder is of this cross, read what is whole, and say there what was asked for."""
        if self.places.shard is not None and not self.kept.there(folder):
            self._begin_together(folder)
        old = self.kept.header(folder) if self.kept.there(folder) else None
        if old is not None:
            self._check_header(folder, old)
        for job in self.jobs:
            found = self.kept.member(folder, job.name)
            if found is not None:
                self._check_same(folder, job, found)
                self._check_translations(folder, job, found)
                self.members[job.name] = found
        if old is not None:
            self.cross = grown(self.cross, old)
        if old is None or self.places.shard is None or self.cross.axes != old.axes:
            self.kept.save_header(folder, self.cross)

    def _begin_together(self, folder: Path) -> None:
        """Say what was asked for, unless another part does so at this moment: its words are checked then."""
        with tempfile.TemporaryDirectory(prefix=".header-", dir=folder) as aside:
            self.kept.save_header(Path(aside), self.cross)
            for file in Path(aside).iterdir():
                try:
                    os.link(file, folder / file.name)
                except FileExistsError:
                    continue
                except OSError:  # of file systems that have no links
                    file.replace(folder / file.name)

    def _check_header(self, folder: Path, old: C) -> None:
        """That it has the same data and settings."""
        new, what = self.cross, self.kept.what
        for name, in_words in (("fingerprint", "other data"), ("vocabulary", "data of another vocabulary")):
            was, now = old.data.get(name), new.data[name]
            untold = name == "vocabulary" and was is None  # by an earlier version
            if was != now and not untold:
                raise ValueError(
                    f"out: {str(folder)!r} holds a {what} of {in_words}, {_named(old.data, was)}, not "
                    f"{_named(new.data, now)}"
                )
        for name, value in new.settings.items():
            if name == "bleu":  # the translations say how they were made
                continue
            if not same(old.settings.get(name), decode(encode(value))):
                was = old.settings.get(name)
                raise ValueError(f"out: {str(folder)!r} holds a {what} with {name} {was!r}, not {value!r}")

    def _check_same(self, folder: Path, job: Job, found: Any) -> None:
        """That it was trained as this job says."""
        for what, mine in job.setup.items():
            if not same(found.setup.get(what), mine):
                named = f"the {'scheme' if what == 'config' else what} of {job.title!r}"
                raise ValueError(
                    f"out: {str(folder)!r} holds a {self.kept.unit} of the same name in which {named} was "
                    "another one"
                )

    def _check_translations(self, folder: Path, job: Job, found: Any) -> None:
        """That its translations were made as is asked for, or can be made."""
        asked, there = self.task.translating, found.translations
        if asked is None:
            return
        place = f"out: {str(folder)!r} holds {job.title!r}"
        if there is not None:
            was = {name: made for name, made in there.options.items() if not same(made, asked.options[name])}
            if was:
                now = {name: asked.options[name] for name in was}
                raise ValueError(f"{place} translated with {_told(was)}, not {_told(now)}")
        if lacks_translations(found) and not self.kept.model(folder, job.name).exists():
            raise ValueError(
                f"{place} trained without its model being kept, so that nothing can be translated: leave "
                "bleu out, or choose another folder"
            )


def _told(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _named(data: Mapping[str, Any], fingerprint: str | None) -> str:
    """Data by their name and the digits that tell them from others of that name."""
    return f"{data.get('name')!r} ({(fingerprint or 'unknown')[:DIGITS]})"


def load(kept: Kept, folder: str | os.PathLike[str]) -> Any:
    """A cross from its folder; one that was stopped gives what was whole.

    Raises
    ------
    OSError
        If there is none.
    ValueError
        If a file is not what it should be.
    """
    place = absolute_path(folder, "folder")  # models are read when they are asked for
    header = kept.header(place)
    members = (kept.member(place, name) for name in kept.names(place))
    return header.with_members(in_order([one for one in members if one is not None], header.axes))


def save(kept: Kept, folder: str | os.PathLike[str], cross: Cross, *, name: str) -> None:
    """Write a cross into its folder, of which the caller's argument has this name.

    Raises
    ------
    OSError
        If a file cannot be written.
    RuntimeError
        If another process writes into the folder.
    ValueError
        If the folder has members that the cross has not, which would be taken for its own.
    """
    place = absolute_path(folder, name)
    with locked(place, name):
        others = sorted(set(kept.names(place)) - {one.name for one in cross.members})
        if others:
            raise ValueError(
                f"{name}: {os.fspath(place)!r} has {kept.unit}s that this {kept.what} has not, such as "
                f"{others[0]}: choose a folder of its own"
            )
        kept.save_members(place, cross)
        kept.save_header(place, cross)
