"""Pictures a second of the features that FID is taken from: Sorby beside torch-fidelity, in one interleaved run.

    pip install --no-deps --target others torch-fidelity==0.4.0 tqdm
    python benchmarks/features.py --torch-fidelity others

Both run the Inception network of 2015-12-05 on random pictures of 299 px, which neither has to resize, with the same
weights: those of Sorby's file, put in the place of the ones that torch-fidelity would download. Each measurement is a
process of its own. Ends with an error where the features differ by more than 1e-3.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock, patch

import numpy as np
import torch
from bench import in_own_process, machine, spread

from sorby.metrics.features import extract_features, load_network

UNUSED = (
    "torchvision",
    "torchvision.datasets",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "requests",
)
PARTS = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}
BATCH = 32
"""Of torch-fidelity; Sorby chooses its own."""
Extract = Callable[[np.ndarray], np.ndarray]


def sorby_features() -> Extract:
    """As `sorby evaluate` takes them."""
    network = load_network("inception")
    return lambda pictures: extract_features(network, [pictures])


def fidelity_features(folder: Path) -> Extract:
    """As torch-fidelity takes them, on its path for a CPU."""
    sys.path.insert(0, str(folder))
    for name in UNUSED:
        sys.modules.setdefault(name, MagicMock())
    module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    extractor = module.FeatureExtractorInceptionV3
    with patch.object(extractor, "load_state_dict"), patch.object(module, "load_state_dict_from_url"):
        network = extractor("inception-v3-compat", ["2048"]).eval()
    network.load_state_dict(renamed(network.state_dict()))

    @torch.inference_mode()
    def extract(pictures: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(pictures).expand(-1, 3, -1, -1).split(BATCH)
        return torch.cat([network(part)[0] for part in parts]).numpy()

    return extract


def renamed(theirs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Sorby's weights by the names of torch-fidelity: both list the same convolutions in the same order."""
    ours = load_network("inception").module.state_dict()
    places = [name.removesuffix("conv.weight") for name in theirs if name.endswith(".conv.weight")]
    found = [name.removesuffix("weight") for name in ours if name.endswith(".weight")]
    filled = dict(theirs)
    for place, source in zip(places, found, strict=False):
        for part, name in PARTS.items():
            filled[place + name] = ours[source + part].reshape(theirs[place + name].shape)
        filled[f"{place}bn.weight"] = torch.ones_like(theirs[f"{place}bn.weight"])
    return filled


def main() -> None:
    """Time, compare and print, or be one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-fidelity", type=Path, help="folder that holds the package torch_fidelity")
    parser.add_argument("--num", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, path = args.one
        torch.set_num_threads(args.threads)
        pictures = np.random.default_rng(0).integers(0, 256, (args.num, 1, 299, 299), np.uint8)
        extract = sorby_features() if name == "Sorby" else fidelity_features(args.torch_fidelity)
        extract(pictures[:BATCH])
        start = time.perf_counter()
        np.save(path, extract(pictures))
        print(json.dumps({"speed": args.num / (time.perf_counter() - start)}))
        return
    names = ["Sorby", *(["torch-fidelity"] if args.torch_fidelity else [])]
    with tempfile.TemporaryDirectory() as folder:
        files = {name: f"{folder}/{name}.npy" for name in names}
        speeds = [
            {
                name: in_own_process([*sys.argv[1:], "--one", name, files[name]], threads=args.threads)["speed"]
                for name in names
            }
            for _ in range(args.rounds)
        ]
        features = {name: np.load(path) for name, path in files.items()}
    print(f"{machine()}; {args.threads} threads\n\n| | pictures a second | Sorby beside it | largest difference |")
    print("| --- | --- | --- | --- |")
    for name in names:
        ratio = spread([found["Sorby"] / found[name] for found in speeds])
        difference = float(np.abs(features[name] - features["Sorby"]).max())
        print(f"| {name} | {spread([found[name] for found in speeds], digits=1)} | {ratio} | {difference:.1g} |")
        if difference > 1e-3:
            sys.exit("The features differ.")


if __name__ == "__main__":
    main()
