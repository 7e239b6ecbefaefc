"""Searches whose trials take no time, of a score whose best is known."""

import json
import math

from sorby.study.file import read_study
from sorby.study.plan import plan_of

TEXT = """
title = "Where is it"
finding = "at 0.0003 and 2"
dataset = "{data}"
preset = "paper-b"
settings = {{ kimg = 1, network = {{ size = 32 }} }}
[search]
trials = {trials}
score = "{score}"
confirm = {confirm}
first = {{ learning_rate = 0.002, n_critic = 2 }}
space.learning_rate = {{ low = 1e-5, high = 1e-2, log = true }}
space.n_critic = {{ low = 1, high = 6 }}
"""


def search_of(data, folder, *, trials=4, score="fid", confirm="[]", **changes):
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(TEXT.format(data=data, trials=trials, score=score, confirm=confirm))
    return plan_of(read_study(folder / "study.toml", **changes))


def fid_of(config):
    """Lowest, 5, at a learning rate of 0.0003 and two steps of the critic; the seed adds less than 0.1."""
    return 5 + 4 * math.log10(config.learning_rate / 3e-4) ** 2 + (config.n_critic - 2) ** 2 + 0.01 * (config.seed % 10)


def instant(data, out, config, **_):
    """In place of training: leaves the score that its settings have, and one that was worse before."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "kimg": kimg,
            "images_seen": int(1000 * kimg),
            "p": 0.0,
            "fid": fid_of(config) + more,
            "recall": 0.5,
            "img_s": 1000.0,
            "seconds": kimg,
        }
        for kimg, more in ((0.5, 3), (1.0, 0))
    ]
    (out / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return out
