"""Precision, recall, KID and FID of the same features, by Sorby and by others, in turn.

    python benchmarks/image_scores.py --torch-fidelity FOLDER --official FOLDER

FOLDER holds the package torch_fidelity, or a checkout of NVlabs/stylegan2-ada-pytorch (its licence is non-commercial,
so that none of it is here). Each measurement is a process of its own; one round has one of each, so that a machine that
slows down slows all alike. What the scores need but the others also import (torchvision, requests) is replaced by
empty modules where it is absent. Ends with an error where the numbers differ.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
from bench import forget_peak, in_own_process, machine, peak_mib, spread

Features = np.ndarray
Scorer = Callable[[Features, Features], list[float]]
SCORES = {
    "pr": "precision and recall, k = 3",
    "kid": "KID as each gives it",
    "kid-all": "KID of all pairs",
    "fid": "FID",
}
CONTESTANTS = {
    "sorby": "Sorby",
    "torch-fidelity": "torch-fidelity",
    "official": "StyleGAN2-ADA",
    "official-half": "StyleGAN2-ADA, half precision",
}
SUBSETS, SUBSET = 100, 1000  # of the published KID
UNUSED = ("torchvision", "torchvision.datasets", "torchvision.transforms.functional", "requests")
WARM_UP = 64


def main() -> None:
    """Measure and print, or be one of the measurements."""
    args = _arguments()
    if args.one:
        score, contestant, dim = args.one
        print(json.dumps(measure(score, contestant, num=args.num, dim=int(dim), args=args)))
        return
    print(f"{machine()}; {args.threads} threads, {args.repeats} rounds")
    agree = [compare(score, dim, args) for dim in args.dims for score in args.scores]
    if not all(agree):
        sys.exit("The numbers differ.")


def compare(score: str, dim: int, args: argparse.Namespace) -> bool:
    """One score by all contestants; prints a table, and returns whether their numbers agree."""
    names = _contestants(score, args)
    runs: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(args.repeats):
        for name in names:
            runs[name].append(in_own_process([*sys.argv[1:], "--one", score, name, str(dim)], threads=args.threads))
    print(f"\n{SCORES[score]}: {args.num} x {args.num}, d = {dim}\n")
    print("| | seconds | times Sorby's | peak memory, MiB | of it before | value |")
    print("| --- | --- | --- | --- | --- | --- |")
    ours, agree = runs["sorby"], True
    for name in names:
        ratios = [run["seconds"] / our["seconds"] for run, our in zip(runs[name], ours, strict=True)]
        peak, before = (statistics.median(run[key] for run in runs[name]) for key in ("peak_mib", "before_mib"))
        values = runs[name][0]["values"]
        shown = ", ".join(f"{value:.6g}" for value in values)
        same = name == "official-half" or _agree(score, values, ours[0]["values"], num=args.num)
        agree &= same
        seconds = spread([run["seconds"] for run in runs[name]])
        print(
            f"| {CONTESTANTS[name]} | {seconds} | {spread(ratios)} | {peak:.0f} | {before:.0f} "
            f"| {shown}{'' if same else ' DIFFERS'} |",
            flush=True,
        )
    return agree


def measure(score: str, contestant: str, *, num: int, dim: int, args: argparse.Namespace) -> dict[str, object]:
    """Time one scorer on features made here, after a small one that loads what it needs."""
    import torch

    torch.set_num_threads(args.threads)
    scorer = {"sorby": _sorby, "torch-fidelity": _torch_fidelity}.get(contestant, _official)(score, contestant, args)
    real, generated = features(num, dim)
    scorer(real[:WARM_UP], generated[:WARM_UP])
    before = forget_peak()
    start = time.perf_counter()
    values = scorer(real, generated)
    return {
        "seconds": time.perf_counter() - start,
        "before_mib": before,
        "peak_mib": peak_mib(),
        "values": [float(value) for value in values],
    }


def features(num: int, dim: int) -> tuple[Features, Features]:
    """Real and generated, >= 0 as pooled features are, of 40 factors; those of the generated are shifted."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((40, dim), dtype=np.float32) / 6

    def draw(mean: float, std: float) -> Features:
        factors = mean + std * rng.standard_normal((num, 40), dtype=np.float32)
        drawn = factors @ weights + 0.3 * rng.standard_normal((num, dim), dtype=np.float32)
        return np.maximum(drawn, 0, out=drawn)

    return draw(0, 1), draw(0.3, 0.9)


def _sorby(score: str, _: str, __: argparse.Namespace) -> Scorer:
    from sorby.metrics.frechet import feature_stats, frechet_distance
    from sorby.metrics.kernel import kernel_distance
    from sorby.metrics.neighbours import neighbour_scores

    def neighbours(real: Features, generated: Features) -> list[float]:
        """Density and coverage come with them."""
        scores = neighbour_scores(real, generated, k=3)
        return [scores.precision, scores.recall]

    if score == "pr":
        return neighbours
    if score == "fid":
        return lambda real, generated: [frechet_distance(feature_stats(real), feature_stats(generated))]
    return lambda real, generated: [kernel_distance(real, generated)]


def _torch_fidelity(score: str, _: str, args: argparse.Namespace) -> Scorer:
    _import_from(args.torch_fidelity)
    import torch
    from torch_fidelity.metric_fid import (
        fid_features_to_statistics,
        fid_statistics_to_metric,
    )
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    def scorer(real: Features, generated: Features) -> list[float]:
        of_real, of_generated = torch.from_numpy(real), torch.from_numpy(generated)
        if score == "pr":
            found = prc_features_to_metric(of_generated, of_real, verbose=False)
            return [found["precision"], found["recall"]]
        if score == "fid":
            sides = (fid_features_to_statistics(side) for side in (of_generated, of_real))
            return list(fid_statistics_to_metric(*sides, verbose=False).values())
        size = min(len(real), SUBSET) if score == "kid" else len(real)
        subsets = SUBSETS if score == "kid" else 1
        settings = {"kid_subsets": subsets, "kid_subset_size": size, "verbose": False}
        return [kid_features_to_metric(of_generated, of_real, **settings)["kernel_inception_distance_mean"]]

    return scorer


def _official(score: str, contestant: str, args: argparse.Namespace) -> Scorer:
    """Its functions take images; here they are given features where they ask for those of images.

    They round features and radii to half precision, which makes the memory of a GPU suffice and the scores wrong in
    the second digit. Unless that is asked for, the name float16 stands for single precision in them.
    """
    _import_from(args.official)
    import torch

    from metrics import (
        frechet_inception_distance,
        kernel_inception_distance,
        metric_utils,
        precision_recall,
    )

    if contestant == "official":
        precision_recall.torch = SimpleNamespace(**vars(torch) | {"float16": torch.float32})
    options = SimpleNamespace(num_gpus=1, rank=0, device=torch.device("cpu"))

    def stats(side: Features, *, capture_all: bool = False, capture_mean_cov: bool = False, **_: object) -> object:
        found = metric_utils.FeatureStats(capture_all=capture_all, capture_mean_cov=capture_mean_cov)
        found.append(side)
        return found

    def scorer(real: Features, generated: Features) -> list[float]:
        metric_utils.compute_feature_stats_for_dataset = lambda **asked: stats(real, **asked)
        metric_utils.compute_feature_stats_for_generator = lambda **asked: stats(generated, **asked)
        if score == "pr":
            batches = {"row_batch_size": 10000, "col_batch_size": 10000}  # those of its metric pr50k3_full
            return list(precision_recall.compute_pr(options, None, None, nhood_size=3, **batches))
        if score == "fid":
            return [frechet_inception_distance.compute_fid(options, None, None)]
        subsets, size = (SUBSETS, SUBSET) if score == "kid" else (1, len(real))
        return [kernel_inception_distance.compute_kid(options, None, None, subsets, size)]

    return scorer


def _import_from(folder: Path) -> None:
    """Make the modules of `folder` importable, without those that it only imports."""
    sys.path.insert(0, str(folder))
    for name in UNUSED:
        if name.split(".")[0] in sys.modules or importlib.util.find_spec(name.split(".")[0]) is None:
            sys.modules.setdefault(name, MagicMock())


def _contestants(score: str, args: argparse.Namespace) -> list[str]:
    names = ["sorby"]
    if args.torch_fidelity:
        names.append("torch-fidelity")
    if args.official:
        names += ["official", "official-half"] if score == "pr" else ["official"]
    return names


def _agree(score: str, values: list[float], ours: list[float], *, num: int) -> bool:
    """Whether the numbers are the same.

    Precision and recall: to the image. The others sum KID in single precision; in random subsets it is another number.
    StyleGAN2-ADA divides the covariance by n and Sorby by n - 1.
    """
    tolerance = {"pr": 0.0, "kid": 0.05, "kid-all": 1e-4, "fid": 2 / num}[score]
    return bool(np.allclose(values, ours, rtol=tolerance, atol=0.5 / num if score == "pr" else 0.0))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=5000, help="images a side")
    parser.add_argument("--dims", type=int, nargs="+", default=[1280, 2048], help="sizes of the features")
    parser.add_argument("--scores", nargs="+", choices=SCORES, default=list(SCORES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch-fidelity", type=Path, help="folder that holds the package torch_fidelity")
    parser.add_argument("--official", type=Path, help="checkout of NVlabs/stylegan2-ada-pytorch")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name, inside in (("torch_fidelity", "torch_fidelity"), ("official", "metrics")):
        folder = getattr(args, name)
        if folder is None and not args.one:
            print(f"--{name.replace('_', '-')} is not given: left out.")
        elif folder is not None and not (folder / inside).is_dir():
            parser.error(f"--{name.replace('_', '-')} {folder} holds no folder {inside}.")
    return args


if __name__ == "__main__":
    main()
