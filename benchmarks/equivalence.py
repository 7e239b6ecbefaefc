"""How often the comparison of metallography errs, with few micrographs: the tables of docs/measurement.md.

    python benchmarks/equivalence.py                 # 1,000 comparisons a case: a few minutes on one core
    python benchmarks/equivalence.py --equal         # 15 patches of each micrograph, in place of 2 to 40

A value is what a micrograph has of it and what the patch adds, both normal; skewed and heavy-tailed values are the
exponential of that. 500 generated values, each for itself, are of the same distribution, moved or stretched.
"""

import argparse

import numpy as np

from sorby.microstructure.compare import MARGIN_MEAN, MARGIN_SPREAD, Agreement, agreement, overall, verdicts

MICROGRAPHS = (6, 8, 12, 20, 40)
GENERATED = 500
SHAPES = {"normal": 0.0, "skewed": 0.55, "heavy-tailed": 0.8}
"""Standard deviation of the logarithm. Skewness 0, 2.0 and 3.7, excess kurtosis 0, 7.8 and 31."""
CORRELATIONS = (0.0, 0.5, 0.9)
"""Between patches of one micrograph."""

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Real values (patches by measures), the micrograph of each, and generated values."""
Truth = tuple[float, float]
"""True shift, and true ratio of the standard deviations."""
SAME: Truth = (0.0, 1.0)
AT_MARGIN: tuple[Truth, ...] = (
    (MARGIN_MEAN, 1.0),
    (0.0, MARGIN_SPREAD),
    (-MARGIN_MEAN, 1.0),
    (0.0, 1 / MARGIN_SPREAD),
)

OF_UHCS600 = (0.7, 0.65, 0.55, 0.4, 0.35, 0.7, 0.5, 0.2, 0.25, 0.6, 0.9)
"""Correlation between patches of one micrograph, of the eleven measures on 160 micrographs of spheroidite ..."""
COMMON = 0.3
"""... and about the correlation of the measures with each other."""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--equal", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    alone(args.repeats, args.equal, rng)
    together(args.repeats, args.equal, rng)


def alone(repeats: int, equal: bool, rng: np.random.Generator) -> None:
    """One measure: found beyond its margins or within them, with the truth at one of them; agreement of equals."""
    print(f"In percent, of values {', '.join(SHAPES)}:\n")
    print("| micrographs | beyond, mean | worst | within, mean | worst | no difference: agrees |")
    print("| --- " * 6 + "|")
    for num in MICROGRAPHS:
        rows = [errors_of(num, sigma, repeats, equal, rng) for sigma in SHAPES.values()]
        cells = [", ".join(map(percent, column)) for column in zip(*rows, strict=True)]
        print(f"| {num} | " + " | ".join(cells) + " |", flush=True)


def errors_of(num: int, sigma: float, repeats: int, equal: bool, rng: np.random.Generator) -> list[float]:
    """Mean and worst share found beyond, the same within, and share of equals that agree, over the correlations."""
    beyond, within, agrees = [], [], []
    for correlation in CORRELATIONS:
        pairs = [values(num, (correlation,), (sigma,), equal, rng) for _ in range(repeats)]
        agrees.append(np.mean([one.agrees for pair in pairs for one in compared(pair, [SAME])]))
        for truth in AT_MARGIN:
            found = [one for pair in pairs for one in compared(pair, [truth])]
            beyond.append(np.mean([is_beyond(one) for one in found]))
            within.append(np.mean([one.agrees for one in found]))
    return [np.mean(beyond), max(beyond), np.mean(within), max(within), np.mean(agrees)]


def together(repeats: int, equal: bool, rng: np.random.Generator) -> None:
    """Eleven measures, some at the margin: any of them beyond alone; any verdict `differs`; and agreement overall."""
    scenes = (0, 5, 11)
    heads = [f"{num} at the margin: any beyond alone | differs" for num in scenes]
    print("\n| micrographs | " + " | ".join(heads) + " | 0: agrees | 3: agrees |")
    print("| --- " * 9 + "|")
    sigmas = tuple((SHAPES["normal"], SHAPES["skewed"])[i % 2] for i in range(len(OF_UHCS600)))
    for num in (*MICROGRAPHS, 100):
        pairs = [values(num, OF_UHCS600, sigmas, equal, rng) for _ in range(repeats)]
        rates = {count: rates_of(pairs, count) for count in (*scenes, 3)}
        cells = [rate for count in scenes for rate in rates[count][:2]] + [rates[0][2], rates[3][2]]
        print(f"| {num} | " + " | ".join(map(percent, cells)) + " |", flush=True)


def rates_of(pairs: list[Pair], count: int) -> np.ndarray:
    """Shares of the comparisons with an interval beyond, with a verdict `differs`, and that agree on the whole."""
    truths = [AT_MARGIN[i % 4] if i < count else SAME for i in range(len(OF_UHCS600))]
    rows = []
    for pair in pairs:
        found = compared(pair, truths)
        told = verdicts(found)
        rows.append((any(map(is_beyond, found)), overall(told) == "differs", overall(told) == "agrees"))
    return np.mean(rows, axis=0)


def is_beyond(one: Agreement) -> bool:
    """Whether an interval lies beyond its margin."""
    return one.shift.outside(MARGIN_MEAN) or one.spread.outside(float(np.log(MARGIN_SPREAD)))


def percent(share: float) -> str:
    """Without its sign."""
    return f"{100 * share:.1f}"


def values(
    num: int, correlations: tuple[float, ...], sigmas: tuple[float, ...], equal: bool, rng: np.random.Generator
) -> Pair:
    """Values of so many micrographs and of generated images, all of mean 0 and variance 1."""
    sizes = np.full(num, 15) if equal else np.exp(rng.uniform(np.log(2), np.log(41), num)).astype(int)
    parents = np.repeat(np.arange(num), sizes)
    share = np.array(correlations)
    between, within, apart = (normals(n, len(share), rng) for n in (num, len(parents), GENERATED))
    real = np.sqrt(share) * between[parents] + np.sqrt(1 - share) * within
    return shaped(real, sigmas), parents, shaped(apart, sigmas)


def normals(num: int, measures: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normal values of measures that are correlated."""
    common, own = rng.normal(size=(num, 1)), rng.normal(size=(num, measures))
    return np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * own


def shaped(normal: np.ndarray, sigmas: tuple[float, ...]) -> np.ndarray:
    """Lognormal values of mean 0 and variance 1; normal ones for a sigma of 0."""
    columns = []
    for column, sigma in zip(normal.T, sigmas, strict=True):
        mean, factor = np.exp(sigma**2 / 2), np.sqrt(np.expm1(sigma**2)) if sigma else 1.0
        columns.append((np.exp(sigma * column) / mean - 1) / factor if sigma else column)
    return np.stack(columns, axis=1)


def compared(pair: Pair, truths: list[Truth]) -> list[Agreement]:
    """Each measure compared, with the generated values moved and stretched to the truth."""
    real, parents, generated = pair
    alone = np.arange(len(generated))
    columns = zip(real.T, generated.T, truths, strict=True)
    found = (agreement(x, parents, shift + ratio * y, alone) for x, y, (shift, ratio) in columns)
    return [one for one in found if one]


if __name__ == "__main__":
    main()
