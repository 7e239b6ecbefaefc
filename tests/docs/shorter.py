"""The same commands and blocks with smaller numbers, and what is left out of them, each with its reason."""

import re

from tests.docs.commands import Words

TRAINING = "--kimg 0.016 --set tick_kimg=0.016 --set score_ticks=0"
APPENDED = {
    "prepare --size 128 --stride": "--held-out 0.5",
    "train": TRAINING,
    "train --preset paper-b": "--batch 8",
    "train --preset paper-512": "--batch 16 --set network.size=64 --set network.channel_base=1024",
    "transfer": TRAINING,
    "transfer --set network.mapping_layers=8": (
        "--kimg 4000.016 --batch 4 --set discriminator=stylegan2 --set network.channel_base=128 "
        "--set network.channel_max=8 --set network.z_dim=6 --set network.w_dim=6"
    ),
    "evaluate": "--num 24 --network efficientnet-lite0",
    "generate": "--num 2",
    "measure": "--num 8",
    "interpolate": "--frames 3",
    "directions": "--num 2 --seeds 8 --by-chance 8",
    "project": "--steps 2 --num 8",
    "predict": "--inputs descriptors --regressor ridge",
    "design": "--screened 8 --trials 0",
    "simulate spinodal": "--field-size 128",
    "simulate spinodal --sample 48": "--sample 6 --images-per-condition 4 --range time=30..60",
    "simulate spinodal --held-out-conditions": "--held-out-conditions 1",
    "simulate spinodal --images-per-condition": "--images-per-condition 12 --held-out 0.5",
    "simulate random-field": "--images-per-condition 4 --size 32",
    "simulate superimpose": "--images-per-condition 2 --size 32",
    "study run": "--yes",
    "serve": "--port 0",
}
"""Words that a command has, and what is appended to it; of an option that is there twice the last one counts."""

INSTEAD = {"time=1000,3000": "time=30,90", "time=1800": "time=30"}
"""Words, and what stands there instead, where the option may be there only once."""

BEFORE = {
    "docs/explorer.md": [
        "study run studies/r-t.toml --yes",
        "evaluate runs/steel steel.zip --out report --num 24 --network efficientnet-lite0",
        "directions runs/steel --out directions --num 2 --seeds 8 --by-chance 8",
    ]
}
"""What the reader of a page did before."""

DRY = {
    "train --devices": "needs four GPUs; tests/training/test_parallel.py trains with several processes",
    "study run --ray": "needs a cluster; tests/study/test_cluster.py has one of three nodes",
}
"""Commands that are done up to where the work would begin (`--dry-run`), and why."""

SHORT = '{"kimg": 0.016, "tick_kimg": 0.016, "score_ticks": 0}'
LESS = {
    "README.md": {'sorby.resolve("laptop-64")': f'sorby.resolve("laptop-64", {SHORT})'},
    "docs/api.md": {
        '{"kimg": 100}': SHORT,
        '"steel.zip", run)': '"steel.zip", run, num=24, networks=["efficientnet-lite0"])',
    },
    "docs/predict.md": {"range(400)": "range(12)"},
    "docs/simulate-spinodal.md": {"time_s=1800": "time_s=30"},
    "docs/simulate.md": {
        "sample=48, held_out_conditions=8": "sample=6, images_per_condition=1, field_size=64, ranges={'time': (30, 60)}"
    },
    "docs/walk.md": {"240": "3"},
}
"""Parts of blocks of Python, and what stands there instead."""


def shorter(words: Words) -> Words:
    """The command with smaller numbers; the scores of one quick network."""
    if "--dry-run" in words:
        return words
    if any(has(words, those) for those in DRY):
        return [*words, "--dry-run"]
    words = [INSTEAD.get(word, word) for word in words]
    more = " ".join(text for those, text in APPENDED.items() if has(words, those)).split()
    return (without(words, "--network") if "--network" in more else words) + more


def less(block: str, page: str) -> str:
    """The block with smaller numbers."""
    for part, instead in LESS.get(page, {}).items():
        block = block.replace(part, instead)
    return block


def has(words: Words, those: str) -> bool:
    """Whether a command begins with the first of these words, the verb, and has the others, options and their values.

    >>> has(["train", "steel.zip", "--preset", "paper-b"], "train --preset paper-b")
    True
    """
    verb, *options = re.split(r" (?=--)", those)
    return words[: len(verb.split())] == verb.split() and set(" ".join(options).split()) <= set(words)


def without(words: Words, option: str) -> Words:
    """The words but for an option and its values, wherever they are.

    >>> without(["--num", "2", "--network", "a", "--network", "b"], "--network")
    ['--num', '2']
    """
    return [word for word, before in zip(words, ["", *words], strict=False) if option not in (word, before)]
