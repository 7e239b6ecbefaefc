"""Where a search looks next: Optuna is asked, and told what came of it, in a storage that outlives the process."""

import json
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sorby.errors import ConfigError, DataError
from sorby.study.file import Range, Search, Settings, flat


class Trial(BaseModel):
    """One run of a search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    values: Settings
    """Of the settings that are searched, by their dotted names."""
    state: Literal["open", "finished", "failed"]
    score: float | None = None
    error: str = ""


class Proposals:
    """Bayesian optimisation by a Gaussian process (Optuna's), of which trials are open and are taken into account.

    What is proposed follows from the seed, the number of the trial and what is known by then, also after a new start.
    `storage` is a URL, such as sqlite:////path/search.db or postgresql+pg8000://host/database. Raises `DataError`
    where it cannot be reached or is full.
    """

    def __init__(self, search: Search, folder: Path, *, storage: str | None, maximise: bool, seed: int) -> None:
        self.search, self.folder, self.seed = search, folder.resolve(), seed
        self.optuna = _optuna()
        url = storage or f"sqlite:///{self.folder / 'search.db'}"
        url = re.sub(r"^postgres(ql)?://", "postgresql+pg8000://", url)  # by name alone it would be psycopg2
        self.url = _without_password(url)
        with self._reachable():
            # Connections are tried before they are used: a server may have been restarted during a trial.
            self.storage = self.optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
            self.study = self.optuna.create_study(
                storage=self.storage,
                study_name=str(self.folder),
                direction="maximize" if maximise else "minimize",
                load_if_exists=True,
            )

    def agree(self, trials: Sequence[Trial]) -> None:
        """Bring the storage to what the folder has, which is the truth: add what it lacks.

        Raises `ConfigError` where it has something else.
        """
        known = {trial.number: trial for trial in trials}
        with self._reachable():
            for stored in self.study.get_trials(deepcopy=False):
                self._compare(stored, known.get(stored.number))
            first = len(self.study.get_trials(deepcopy=False))
            for number in range(first, max(known, default=-1) + 1):
                self.study.add_trial(self._as_stored(known.get(number)))
            if self.search.first and not self.study.get_trials(deepcopy=False):
                self.study.enqueue_trial(self._encoded(flat(self.search.first)))

    def opened(self) -> list[tuple[int, Settings]]:
        """Trials that were asked for and never told, with their values."""
        with self._reachable():
            running = self.study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.RUNNING,))
            return [self._suggested(self.optuna.trial.Trial(self._at(t.number), t._trial_id)) for t in running]

    def ask(self) -> tuple[int, Settings] | None:
        """The next trial; none when there were enough."""
        waiting = self.optuna.trial.TrialState.WAITING
        with self._reachable():
            number = sum(trial.state != waiting for trial in self.study.get_trials(deepcopy=False))
            return self._suggested(self._at(number).ask()) if number < self.search.trials else None

    def tell(self, number: int, score: float | None) -> None:
        """What came of a trial, none where it failed; twice does no harm."""
        failed = None if score is not None and math.isfinite(score) else self.optuna.trial.TrialState.FAIL
        with self._reachable():
            self.study.tell(number, None if failed else score, state=failed, skip_if_finished=True)

    def close(self) -> None:
        """Let go of the storage."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    def _at(self, number: int) -> Any:
        """The study, ready to propose this trial."""
        seed = zlib.crc32(f"{self.seed} {number}".encode())
        startup = min(10, self.search.trials // 3)
        self.study.sampler = self.optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
        return self.study

    def _suggested(self, trial: Any) -> tuple[int, Settings]:
        params = {name: _suggest(trial, name, space) for name, space in self.search.space.items()}
        return trial.number, self._decoded(params)

    def _compare(self, stored: Any, known: Trial | None) -> None:
        """Raise `ConfigError` where a trial of the storage is not that of the folder."""
        state = self.optuna.trial.TrialState
        complete = stored.state == state.COMPLETE
        if known is None:
            agrees = not complete
        else:
            agrees = known.values.keys() == self.search.space.keys()
            agrees &= stored.state == state.WAITING or not stored.params or self._decoded(stored.params) == known.values
            agrees &= not complete or stored.value == known.score
        if not agrees:
            raise ConfigError(
                f"{self.folder} and {self.url} tell of different trials (number {stored.number}): the study or its "
                "data were changed since, or another search is there. Give another --out."
            )

    def _as_stored(self, trial: Trial | None) -> Any:
        """For the storage; none was never tried."""
        state = self.optuna.trial.TrialState
        create = self.optuna.trial.create_trial
        if trial is None:
            return create(state=state.FAIL)
        states = {"open": state.RUNNING, "finished": state.COMPLETE, "failed": state.FAIL}
        return create(
            state=states[trial.state],
            value=trial.score if trial.state == "finished" else None,
            params=self._encoded(trial.values),
            distributions={name: _distribution(self.optuna, space) for name, space in self.search.space.items()},
        )

    def _encoded(self, values: Settings) -> Settings:
        space = self.search.space
        return {name: json.dumps(value) if space[name].choices else value for name, value in values.items()}

    def _decoded(self, params: Settings) -> Settings:
        space = self.search.space
        choice = {name for name in params if name in space and space[name].choices}
        return {name: json.loads(value) if name in choice else value for name, value in params.items()}

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError

        try:
            yield
        except ImportError as error:
            raise ConfigError(f"{self.url} needs {error.name}: pip install 'sorby[postgres]'.") from None
        except ArgumentError:
            raise ConfigError("--storage is no URL: expected such as postgresql+pg8000://host/database.") from None
        except (self.optuna.exceptions.StorageInternalError, SQLAlchemyError, OSError) as error:
            why = str(getattr(error.__cause__, "orig", None) or getattr(error, "orig", None) or error).splitlines()[0]
            raise DataError(
                f"The storage of the search, {self.url}, does not answer or is full ({why}): the same command "
                "again goes on once it does."
            ) from None


def importance(search: Search, trials: Sequence[Trial], *, maximise: bool) -> dict[str, float]:
    """Share of each setting in what sets the best trials apart (PED-ANOVA: Watanabe et al. 2023); none for too few."""
    optuna = _optuna()
    study = optuna.create_study(direction="maximize" if maximise else "minimize")
    kinds = {name: _distribution(optuna, space) for name, space in search.space.items()}
    for trial in trials:
        if trial.score is not None:
            params = {name: json.dumps(v) if search.space[name].choices else v for name, v in trial.values.items()}
            study.add_trial(optuna.trial.create_trial(value=trial.score, params=params, distributions=kinds))
    if len(study.trials) < 10 or len({trial.value for trial in study.trials}) == 1:
        return {}
    found = optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    return {name: float(share) for name, share in found.items()}


def _suggest(trial: Any, name: str, space: Range) -> Any:
    if space.choices:
        return trial.suggest_categorical(name, tuple(map(json.dumps, space.choices)))
    whole = isinstance(space.low, int) and isinstance(space.high, int)
    return (trial.suggest_int if whole else trial.suggest_float)(name, space.low, space.high, log=space.log)


def _distribution(optuna: Any, space: Range) -> Any:
    if space.choices:
        return optuna.distributions.CategoricalDistribution(tuple(map(json.dumps, space.choices)))
    whole = isinstance(space.low, int) and isinstance(space.high, int)
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(space.low, space.high, log=space.log)


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "--storage"


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError("A search needs Optuna: pip install 'sorby[search]'.") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
