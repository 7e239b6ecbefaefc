"""A property from numbers about pictures, and what cross-validation by groups supports of it.

The groups are specimens or micrographs, whatever shares more than the property; all of a group is held out at once.
Random forest (Breiman, Mach. Learn. 45 (2001) 5-32), as in Shiraiwa, Kato, Briffod & Enoki, Sci. Technol. Adv. Mater.:
Methods (2022); Gaussian process (Rasmussen & Williams 2006); ridge (Hoerl & Kennard, Technometrics 12 (1970) 55-67).
What is chosen, as the weight of the ridge and the kernel of the process are, is chosen in the training folds alone.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.special
from jaxtyping import Float, Int, Shaped

from sorby.errors import ConfigError, DataError
from sorby.evaluation.fidelity import PENALTIES, ridge, standardised
from sorby.evaluation.lines import mean_number
from sorby.metrics.record import Number

REGRESSORS = ("random-forest", "gaussian-process", "ridge")

LEAST_GROUPS = 5
FOLDS = 10
"""At most; groups are dealt into them."""
LEVEL = 0.025
"""Chance of a support that is none, over all that are compared: one end of a 95 % interval."""
COVERED = 0.9
"""Of the held-out values, by prediction intervals."""
TREES = 200
MOST_COLUMNS = 64
"""With more names of columns there is no importance: hundreds of correlated ones share it."""
SHUFFLES = 10
TINY = 1e-12

Values = Float[np.ndarray, " n"]
Table = Float[np.ndarray, "n d"]
"""NaN where a picture does not have a number; it counts as the mean of those learned from."""


@dataclass(frozen=True)
class Importance:
    """How much worse the held-out predictions become with a column shuffled."""

    column: str
    fall: Number
    """Of R², with its 95 % interval over groups."""
    coefficient: float | None = None
    """Of a ridge: change of the property with one standard deviation of the column, mean over the folds."""


@dataclass(frozen=True, eq=False)
class Result:
    """What cross-validation by groups gave for one kind of inputs and one regressor."""

    inputs: str
    regressor: str
    predicted: Values
    """Out of fold."""
    half: Values
    """Half width of the 90 % prediction interval, from the residuals of all other groups; infinite for too few."""
    r2: Number
    """Against the mean of the training folds, so below 0 where that is nearer; 95 %, leaving out one group each."""
    p_value: float
    """Chance of so high an R² where the true one is 0."""
    mean_absolute_error: float
    coverage: float | None
    """Share of the held-out values in their intervals, mean over groups; None where there are no intervals."""
    num_groups: int
    importance: tuple[Importance, ...]
    """The greatest first; empty where no names were given, or too many."""
    is_supported: bool
    """Whether R² is above 0 with its whole interval, after Holm over all that were compared."""


@dataclass(frozen=True, eq=False)
class PropertyModel:
    """A regressor that learned from everything, with what its cross-validation gave. It stays in memory."""

    validated: Result
    half_width: float
    """Of the 90 % prediction interval; infinite for fewer than nine groups."""
    _fitted: "_Fitted"

    @classmethod
    def fit(
        cls, inputs: Table, values: Values, groups: Shaped[np.ndarray, " n"], *, regressor: str, seed: int
    ) -> "PropertyModel":
        """Learn from all rows. Raises as `cross_validated` does."""
        validated = cross_validated(inputs, values, groups, regressor=regressor, seed=seed)
        owners = _numbers(groups)
        half = conformal(np.abs(values - validated.predicted), owners)
        return cls(validated, half, _fit(inputs, values, owners, regressor, seed))

    def predict(
        self, inputs: Float[np.ndarray, "m d"]
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Mean, and both ends of the 90 % prediction interval for a picture of another group."""
        mean = self._fitted.predict(inputs)
        return mean, mean - self.half_width, mean + self.half_width


def compare(
    inputs: Mapping[str, Float[np.ndarray, "n _"]],
    values: Values,
    groups: Shaped[np.ndarray, " n"],
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    regressors: Sequence[str] = REGRESSORS,
    seed: int = 0,
) -> list[Result]:
    """Each kind of inputs with each regressor, on the same folds. Raises as `cross_validated` does.

    The chance that any support among them is none stays at `LEVEL` (Holm, Scand. J. Statist. 6 (1979) 65-70).
    """
    names = columns or {}
    found = [
        cross_validated(
            table, values, groups, regressor=regressor, seed=seed, inputs_name=name, columns=names.get(name, ())
        )
        for name, table in inputs.items()
        for regressor in regressors
    ]
    supported = 0
    ordered = sorted(range(len(found)), key=lambda i: found[i].p_value)
    while supported < len(found) and found[ordered[supported]].p_value <= LEVEL / (len(found) - supported):
        supported += 1
    kept = set(ordered[:supported])
    return [replace(result, is_supported=result.is_supported and i in kept) for i, result in enumerate(found)]


def cross_validated(
    inputs: Table,
    values: Values,
    groups: Shaped[np.ndarray, " n"],
    *,
    regressor: str,
    seed: int,
    inputs_name: str = "inputs",
    columns: Sequence[str] = (),
) -> Result:
    """Predict each group by what was learned from others, and say what that supports.

    Columns of one name are shuffled together for their importance; without `columns` there is none. Raises `DataError`
    for fewer than five groups and for values that are not finite or all alike, `ConfigError` for another regressor and
    where scikit-learn is missing.
    """
    check(values, groups)
    if regressor not in REGRESSORS:
        raise ConfigError(f"{regressor!r} is no regressor: choose from {', '.join(REGRESSORS)}.")
    if np.isinf(inputs).any():
        raise DataError(f"{inputs_name} holds infinite numbers: leave them out, as NaN.")
    if not inputs.shape[1]:
        raise DataError(f"{inputs_name} has no columns: expected one number a picture, or more.")
    if columns and len(columns) != inputs.shape[1]:
        raise DataError(f"{inputs_name} has {inputs.shape[1]} columns and {len(columns)} names: give a name for each.")
    owners = _numbers(groups)
    predicted, baseline = np.empty(len(values)), np.empty(len(values))
    folds, fitted = folds_of(owners, seed=seed), []
    for fold in range(folds.max() + 1):
        learn = folds != fold
        model = _fit(inputs[learn], values[learn], owners[learn], regressor, seed)
        predicted[~learn], baseline[~learn] = model.predict(inputs[~learn]), values[learn].mean()
        fitted.append(model)
    residuals = np.abs(values - predicted)
    errors, nothing = (np.bincount(owners, weights=(values - known) ** 2) for known in (predicted, baseline))
    r2, p_value = _r2(errors, nothing)
    half = np.array([conformal(residuals[owners != g], owners[owners != g]) for g in range(len(errors))])[owners]
    inside = np.bincount(owners, weights=residuals <= half) / np.bincount(owners)
    shuffled = _importance(fitted, inputs, values, owners, folds, residuals**2, float(nothing.sum()), columns, seed)
    return Result(
        inputs=inputs_name,
        regressor=regressor,
        predicted=predicted,
        half=half,
        r2=r2,
        p_value=p_value,
        mean_absolute_error=float(residuals.mean()),
        coverage=float(inside.mean()) if np.isfinite(half).all() else None,
        num_groups=len(errors),
        importance=shuffled,
        is_supported=r2.low is not None and r2.low > 0,
    )


def check(values: Values, groups: Shaped[np.ndarray, " n"]) -> None:
    """Raise `DataError` where nothing can be learned, or nothing be said of it."""
    if not np.isfinite(values).all():
        raise DataError(f"{int((~np.isfinite(values)).sum())} values are no numbers: leave their pictures out.")
    num = len(np.unique(groups))
    if num < LEAST_GROUPS:
        raise DataError(
            f"{len(values)} pictures of {num} group{'s' * (num != 1)} came: cross-validation needs at least "
            f"{LEAST_GROUPS} groups (specimens or micrographs); give more."
        )
    if np.ptp(values) == 0:
        raise DataError(f"All {len(values)} values are {values[0]:g}: there is nothing to predict; choose another.")


def folds_of(owners: Int[np.ndarray, " n"], *, seed: int) -> Int[np.ndarray, " n"]:
    """The fold of each row: those of an owner share one; owners, numbered from 0, are dealt into ten or fewer.

    >>> folds_of(np.array([0, 0, 1, 2]), seed=0)
    array([2, 2, 0, 1])
    """
    num = int(owners.max()) + 1
    return (np.random.default_rng(seed).permutation(num) % FOLDS)[owners]


def conformal(residuals: Values, owners: Int[np.ndarray, " n"]) -> float:
    """Distance within which a value of a new group lies with a chance of 90 %, where groups are exchangeable.

    The quantile in which each group weighs the same and one more lies at infinity (hierarchical conformal prediction,
    Lee, Barber & Willett, arXiv:2306.06342). Infinite for fewer than nine groups.

    >>> conformal(np.arange(1.0, 10.0), np.arange(9)), conformal(np.arange(1.0, 9.0), np.arange(8))
    (9.0, inf)
    """
    _, place, counts = np.unique(owners, return_inverse=True, return_counts=True)
    order = np.argsort(residuals)
    reached = np.cumsum(1 / counts[place][order]) / (len(counts) + 1)
    first = int(np.searchsorted(reached, COVERED - 1e-9))
    return float(residuals[order[first]]) if first < len(order) else math.inf


def _r2(errors: Float[np.ndarray, " g"], nothing: Float[np.ndarray, " g"]) -> tuple[Number, float]:
    """R² of squared errors summed by group against those of the mean, with its interval, and the chance of it.

    Leaves out one group at a time (jackknife, with Student's t) of log(1 - R²), which never exceeds 1.
    """

    def unexplained(left_out: Float[np.ndarray, "..."] | float) -> Any:
        kept = np.maximum(errors.sum() - left_out * errors, TINY), np.maximum(nothing.sum() - left_out * nothing, TINY)
        return np.log(kept[0] / kept[1])

    value, without = float(unexplained(0.0)[0]), unexplained(1.0)
    freedom = len(errors) - 1
    error = max(math.sqrt(freedom * np.var(without)), TINY)
    half = error * float(scipy.special.stdtrit(freedom, 1 - LEVEL))
    low, high = (1 - math.exp(end) for end in (value + half, value - half))
    return Number(value=1 - math.exp(value), low=low, high=high), float(scipy.special.stdtr(freedom, value / error))


def _importance(
    fitted: Sequence["_Fitted"],
    inputs: Table,
    values: Values,
    owners: Int[np.ndarray, " n"],
    folds: Int[np.ndarray, " n"],
    errors: Values,
    nothing: float,
    columns: Sequence[str],
    seed: int,
) -> tuple[Importance, ...]:
    """By permutation (Breiman 2001), of held-out rows, which get the column of rows drawn from all."""
    names = list(dict.fromkeys(columns))
    if not 1 < len(names) <= MOST_COLUMNS:
        return ()
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(len(inputs)), (SHUFFLES, 1)), axis=1)
    num, found = int(owners.max()) + 1, []
    for name in names:
        mine = np.array([column == name for column in columns])
        worse = np.empty((SHUFFLES, len(inputs)))
        for fold, model in enumerate(fitted):
            rows = folds == fold
            moved = np.where(mine, inputs[order[:, rows]], inputs[rows])
            said = model.predict(moved.reshape(-1, inputs.shape[1])).reshape(SHUFFLES, -1)
            worse[:, rows] = (said - values[rows]) ** 2 - errors[rows]
        fall = num * np.bincount(owners, weights=worse.mean(0)) / nothing
        found.append(Importance(name, mean_number(fall), _coefficient(fitted, mine)))
    return tuple(sorted(found, key=lambda one: -one.fall.value))


def _coefficient(fitted: Sequence["_Fitted"], mine: Shaped[np.ndarray, " d"]) -> float | None:
    """Of one column; its spread is 1 / sqrt(d) by then."""
    if mine.sum() != 1 or not hasattr(fitted[0].model, "coef_"):
        return None
    return float(np.mean([one.model.coef_[mine][0] for one in fitted])) / math.sqrt(len(mine))


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What predicts from inputs that are standardised by those learned from."""

    learned_from: Table
    model: Any

    def predict(self, inputs: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
        return np.asarray(self.model.predict(standardised(self.learned_from, inputs)), np.float64)


def _fit(inputs: Table, values: Values, owners: Int[np.ndarray, " n"], regressor: str, seed: int) -> _Fitted:
    """Learn from these rows alone."""
    scikit_learn()
    from sklearn.exceptions import ConvergenceWarning

    x = standardised(inputs, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a kernel at its limit is a straight line, or noise
        return _Fitted(inputs, _unfitted(regressor, x, values, owners, seed).fit(x, values))


def _unfitted(regressor: str, x: Table, values: Values, owners: Int[np.ndarray, " n"], seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.linear_model import Ridge

    if regressor == "random-forest":
        return RandomForestRegressor(TREES, max_features=1 / 3, random_state=seed)
    if regressor == "gaussian-process":
        kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(1.0, (0.05, 100)) + WhiteKernel(0.1, (1e-5, 10))
        return GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    share = _penalty(x, values, folds_of(_numbers(owners), seed=seed))
    return Ridge(share * float(np.sum((x - x.mean(0)) ** 2)) or 1.0)


def _penalty(x: Table, values: Values, folds: Int[np.ndarray, " n"]) -> float:
    """Of `PENALTIES` the one that serves best on groups held out."""
    turned = x @ np.linalg.svd(x, full_matrices=False)[2].T  # no more columns than rows, and a ridge does not notice
    worse = np.zeros(len(PENALTIES))
    for fold in range(folds.max() + 1):
        learn = folds != fold
        said = ridge(turned[learn], values[learn, None], turned[~learn])[:, :, 0]
        worse += np.sum((said - values[~learn]) ** 2, axis=1)
    return float(PENALTIES[np.argmin(worse)])


def _numbers(groups: Shaped[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    return np.unique(groups, return_inverse=True)[1]


def interval(of: Number) -> str:
    """`0.71 (0.50 to 0.80)`, with four digits where two would be 1.00."""
    digits = 4 if of.value >= 0.995 else 2
    value, low, high = (
        "" if x is None else f"{round(x, digits) + 0.0:.{digits}f}" for x in (of.value, of.low, of.high)
    )
    return f"{value} ({low} to {high})" if low and high else value


def scikit_learn() -> None:
    """Raise `ConfigError` where it is missing."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise ConfigError("predict needs scikit-learn: pip install 'sorby[design]'.") from None
