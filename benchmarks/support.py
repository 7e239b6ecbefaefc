"""How often `sorby predict` supports what is none, and how often its intervals hold.

Tables of eleven normal columns, one row a group. With --signal the property is the first column times this plus
normal noise, without it is noise alone.

    python benchmarks/support.py ridge --seeds 300
    python benchmarks/support.py ridge --signal 1 --seeds 100
    python benchmarks/support.py all --seeds 200
"""

import argparse

import numpy as np

from sorby.design import property as science
from sorby.design.property import REGRESSORS, PropertyModel, compare

COLUMNS = 11
NEW = 500
"""Rows of new groups that tell the true R² and the true coverage of one model."""


def main() -> None:
    """A row of a table for each number of groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regressor", choices=[*REGRESSORS, "all"])
    parser.add_argument("--signal", type=float, default=0.0)
    parser.add_argument("--groups", type=int, nargs="+", default=[5, 8, 12, 30])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trees", type=int, default=50)
    args = parser.parse_args()
    science.TREES = args.trees
    if args.regressor == "all":
        print("| regressors | signal | groups | any supported, % |")
        for num in args.groups:
            shares = [any_supported(num, args.signal, seed) for seed in range(args.seeds)]
            print(f"| all three | {args.signal:g} | {num} | {100 * np.mean(shares):.1f} |", flush=True)
        return
    print("| regressor | signal | groups | supported, % | R² told | new groups | interval holds, % | coverage, % |")
    for num in args.groups:
        rows = np.array([one(args.regressor, num, args.signal, seed) for seed in range(args.seeds)])
        supported, told, true, low, high, covered = rows.T
        holds = np.mean((low <= true.mean()) & (true.mean() <= high))
        print(
            f"| {args.regressor} | {args.signal:g} | {num} | {100 * supported.mean():.1f} | {np.median(told):.2f} "
            f"| {true.mean():.2f} | {100 * holds:.0f} | {100 * np.mean(covered):.1f} |",
            flush=True,
        )


def one(regressor: str, num: int, signal: float, seed: int) -> list[float]:
    """Supported, R² told, R² on new groups, both ends of the interval, and the share of new values in theirs."""
    x, y = drawn(num + NEW, signal, seed)
    model = PropertyModel.fit(x[:num], y[:num], np.arange(num), regressor=regressor, seed=seed)
    mean, low, high = model.predict(x[num:])
    true = 1 - np.sum((y[num:] - mean) ** 2) / np.sum((y[num:] - y[:num].mean()) ** 2)
    covered = np.mean((low <= y[num:]) & (y[num:] <= high)) if np.isfinite(model.half_width) else np.nan
    r2 = model.validated.r2
    return [model.validated.is_supported, r2.value, true, r2.low, r2.high, covered]


def any_supported(num: int, signal: float, seed: int) -> bool:
    """Whether any of the three regressors is, as `sorby predict` compares them."""
    x, y = drawn(num, signal, seed)
    return any(result.is_supported for result in compare({"x": x}, y, np.arange(num), seed=seed))


def drawn(num: int, signal: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and the property."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, COLUMNS))
    return x, signal * x[:, 0] + rng.normal(size=num)


if __name__ == "__main__":
    main()
