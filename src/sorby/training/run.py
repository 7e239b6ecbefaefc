"""A run: a folder that one command makes, continues and finishes."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import UInt8

from sorby import __version__
from sorby.allocator import keep_freed_memory
from sorby.atomic import recover_folder, write_text
from sorby.augment import Augment
from sorby.card import GREYS, GeneratorCard
from sorby.config import MAY_CHANGE, TrainConfig, flat, to_toml
from sorby.data.dataset import Dataset
from sorby.data.streamed import pictures_of
from sorby.errors import ConfigError, DataError, WeightsError
from sorby.models.place import fastest_dtype, name_of
from sorby.models.stylegan2 import GeneratorNetwork
from sorby.seeds import rng_for
from sorby.team import Team
from sorby.training import checkpoint, environment
from sorby.training.batches import Batches
from sorby.training.greys import Greys, begin_with, greys_of
from sorby.training.loop import OnStep
from sorby.training.loop import train as loop
from sorby.training.norm import share_norms
from sorby.training.share import check_shares
from sorby.training.state import State, new_state
from sorby.training.steps import largest_tensor
from sorby.training.tick import Scorer, Ticker, read_config
from sorby.training.transfer import freeze, start
from sorby.untrusted import read_text

Progress = Callable[[State, dict[str, float]], None]
GREY_PATCHES = 1000
"""So many patches are enough to measure the greys of the data."""
UNTRAINED_PICTURES = 64
"""So many of an untrained generator are enough to measure its greys."""


def train(
    dataset: Dataset,
    out: Path | str,
    config: TrainConfig,
    *,
    device: torch.device | str = "cpu",
    team: Team | None = None,
    accumulate: int = 1,
    tensorboard: bool = True,
    on_tick: Progress = lambda *_: None,
    on_step: OnStep = lambda _: None,
    warn: Callable[[str], None] = warnings.warn,
) -> Path:
    """Train on the training split of `dataset` into the run folder `out`; the same call again resumes.

    Stopped at any instant it loses at most a tick; the result equals that of a run never stopped, bit for bit on a CPU.
    All processes of a `team` call this alike, and use its devices; the first one writes. They share each batch, and
    compute their share in `accumulate` parts, which takes less memory: the result is that of one process but for
    rounding (docs/parallel.md).
    Raises `ConfigError` where a setting names what does not exist or `out` holds a run of other settings or data,
    `DataError` where the images do not fit the network.
    """
    out, config = Path(out), fit_to(config, dataset)
    data = dataset.split("train")
    if config.subset is not None:
        data = data.subset(config.subset, seed=config.seed)
    team = team or Team(device)

    def begin() -> None:
        _check_size(data, config)
        _check_conditions(data, config)
        _check_descriptors(config)
        augmentation(config)
        check_shares(config, team, accumulate)

    team.first(begin)
    config = team.first(lambda: settled(config, team.device, run=out))
    augment = augmentation(config)
    keep_freed_memory(largest_tensor(config, config.batch_size // (team.size * accumulate)))
    torch.backends.cudnn.benchmark = True  # shapes hardly change, so that looking for the fastest convolutions pays
    state = new_state(config, device=team.device)
    freeze(state.D, config.freeze_d)
    if config.start_from and not checkpoint.checkpoints(out / "checkpoint"):
        start(state, config, say=warn if team.is_first else lambda _: None)
    team.first(lambda: _claim(out, config, data))
    share_norms(state.G, team)
    share_norms(state.D, team)
    resumed = team.first(lambda: checkpoint.restore(state, out / "checkpoint", warn=warn))
    greys = team.first(lambda: _greys(data) if config.match_greys and not _finished(state, config) else None)
    if greys and not resumed and not config.start_from:
        _begin_with(greys, state, data, config)
    checkpoint.hand_on(state, team)
    if _finished(state, config):
        return out
    images = pictures_of(data)
    batches = Batches(
        images,
        torch.from_numpy(data.conditions()),
        batch_size=config.batch_size,
        seed=config.seed,
        symmetry=config.symmetry,
    )
    ticker = Ticker(
        out,
        config,
        card_of(data, config),
        reals=data.images(_spread(data, Ticker.GRID)),
        greys=greys,
        scorer=_scorer_or_none(dataset, config, device=team.device, warn=warn) if team.is_first else None,
        tensorboard=tensorboard and team.is_first,
        report=on_tick,
        warn=warn,
    )
    now = environment.this(team, accumulate=accumulate, from_images=state.images_seen)
    team.first(lambda: ticker.begin(state, resumed=resumed))
    team.first(lambda: environment.record(out, now))

    def tick(state: State, averages: dict[str, float]) -> None:
        team.first(lambda: ticker.tick(state, averages))

    try:
        loop(state, batches, config, augment=augment, on_tick=tick, on_step=on_step, team=team, accumulate=accumulate)
    finally:
        ticker.close()
    return out


def augmentation(config: TrainConfig) -> Augment:
    """The moves of the settings. Raises `ConfigError` for one that does not exist."""
    return Augment(
        families=config.augment,
        without=config.augment_without,
        strengths=config.augment_strengths,
        luma_flip=config.luma_flip,
    )


def fit_to(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """The settings with the channels and the conditions of the data."""
    changes = {"channels": dataset.channels, "condition_dim": dataset.space.dim}
    return config.model_copy(update={"network": config.network.model_copy(update=changes)})


def settled(config: TrainConfig, device: torch.device | str, *, run: Path | None = None) -> TrainConfig:
    """The settings with a precision, where they ask for the fastest: that of the `run` if any, or of `device`."""
    if config.precision != "fastest":
        return config
    before = read_config(run).precision if run and (run / "config.toml").is_file() else "fastest"
    precision = name_of(fastest_dtype(device)) if before == "fastest" else before
    return config.model_copy(update={"precision": precision})


def card_of(data: Dataset, config: TrainConfig) -> GeneratorCard:
    """What is known of a generator before it has learnt anything."""
    counts = Counter(tuple(patch.conditions.items()) for patch in (data.patches if data.space.dim else ()))
    seen: tuple[dict[str, str | float], ...] = tuple(dict(items) for items in counts)
    return GeneratorCard(
        network=config.network,
        pixel_size_um=data.pixel_size_um,
        space=data.space,
        seen_conditions=seen,
        seen_counts=tuple(counts.values()),
        data={
            "name": data.path.name,
            "hash": data.hash,
            "patches": len(data),
            "parent micrographs": len(data.parents),
            "licence": data.licence or "not stated",
            **({"origin": data.origin} if data.origin else {}),
        },
        training={
            "preset": config.preset,
            **_model(config),
            "seed": config.seed,
            "augmentation": ", ".join(config.augment) or "none",
            "symmetry": config.symmetry,
            **({GREYS: "matched to the data"} if config.match_greys else {}),
            **({"started from": _nameless(config.start_from)} if config.start_from else {}),
        },
        sorby_version=__version__,
    )


def _nameless(path: str) -> str:
    """Of an absolute path the last folder alone: those above may name a person, and cards travel."""
    return Path(path).name if Path(path).is_absolute() else path


def _model(config: TrainConfig) -> dict[str, str]:
    """How the networks learnt, as far as the model leaves a choice."""
    contrast: dict[str, str] = {} if config.contrastive == "none" else {"contrast": config.contrastive}
    return {"updates": config.updates, **contrast} if config.network.model == "stylegan2" else contrast


def quick_scorer(data: Dataset, config: TrainConfig, *, device: torch.device | str) -> Scorer:
    """Scores of generated pictures on the fast feature network, and by metallography.

    Against all training patches, also where a run sees a subset of them, as paper A scores (section "Frechet inception
    distance"); and against the held-out ones, which a generator that copies does not come near. Further the shift of
    each descriptor, such as `shift_area_fraction`, and the mean size of those that `config` chooses.
    """
    from sorby.measurement.measured import descriptor_table
    from sorby.metrics.quick import MIN_IMAGES, QuickScores
    from sorby.metrics.sets import of_dataset
    from sorby.microstructure.compare import descriptor_error, shifts
    from sorby.microstructure.describe import QUANTITIES, comparable

    names = [quantity.name for quantity in QUANTITIES]
    counts = np.array([not config.descriptors or name in config.descriptors for name in names])
    reals = of_dataset(data.split("train"), "training micrographs")
    several = data.patches.is_word("split", "held-out").sum() >= MIN_IMAGES
    held_out = of_dataset(data.split("held-out"), "held-out micrographs") if several else None
    scores = QuickScores(reals, held_out, device=device)
    real = comparable(descriptor_table(reals.at_most(config.score_images, seed=0).batches()))

    def score(generated: UInt8[np.ndarray, "m c h w"]) -> dict[str, float]:
        found = shifts(real, comparable(descriptor_table([generated])))
        by_name = {f"shift_{name}": float(s) for name, s in zip(names, found, strict=True) if not np.isnan(s)}
        return {**scores(generated), "descriptor_error": descriptor_error(found[counts]), **by_name}

    return score


def _scorer_or_none(
    data: Dataset,
    config: TrainConfig,
    *,
    device: torch.device | str,
    warn: Callable[[str], None],
) -> Scorer | None:
    """A scorer where scores are asked for and can be had; training goes on without, saying why."""
    if not config.score_ticks:
        return None
    try:
        return quick_scorer(data, config, device=device)
    except (DataError, WeightsError) as reason:
        warn(f"training without scores, so that `best` is never written: {reason}")
        return None


def _finished(state: State, config: TrainConfig) -> bool:
    return state.images_seen >= config.total_images


def _greys(data: Dataset) -> Greys:
    return greys_of(data.images([place])[0] for place in _spread(data, GREY_PATCHES))


def _begin_with(greys: Greys, state: State, data: Dataset, config: TrainConfig) -> None:
    networks = cast(list[GeneratorNetwork], [state.G, state.G_ema])
    places = np.linspace(0, len(data) - 1, UNTRAINED_PICTURES).round().astype(int)
    condition = torch.from_numpy(data.conditions(places)).to(state.device)
    begin_with(greys, networks, condition, rng=rng_for(config.seed, "greys", device=state.device))


def _spread(data: Dataset, num: int) -> list[int]:
    """Places of `num` patches spread over the whole dataset."""
    return sorted({round(place) for place in np.linspace(0, len(data) - 1, min(num, len(data)))})


def _check_size(data: Dataset, config: TrainConfig) -> None:
    if data.size != config.network.size:
        raise DataError(
            f"{data.path} has patches of {data.size} px and preset {config.preset} draws {config.network.size} px: "
            f"prepare with --size {config.network.size} or choose another preset."
        )


def _check_conditions(data: Dataset, config: TrainConfig) -> None:
    if config.contrastive != "none" and not data.space.dim:
        raise DataError(
            f"{data.path} has no conditions, and the contrastive loss of preset {config.preset} compares images by "
            "them: prepare with --labels and --condition, or train with --set contrastive=none."
        )


def _check_descriptors(config: TrainConfig) -> None:
    from sorby.microstructure.describe import QUANTITIES

    names = [quantity.name for quantity in QUANTITIES]
    for name in config.descriptors:
        if name not in names:
            raise ConfigError(f"Unknown descriptor {name!r}: choose from {', '.join(names)}.")


def _claim(out: Path, config: TrainConfig, data: Dataset) -> None:
    """Make the run folder, or see that it belongs to these settings and these data."""
    path, data_path = out / "config.toml", out / "data.sha256"
    for folder in ("best", "last"):
        recover_folder(out / folder)
    for inside in out.rglob("*"):
        if inside.is_symlink() and not inside.resolve().is_relative_to(out.resolve()):
            raise ConfigError(f"{inside} is a link out of the run, which training would write to: remove it.")
    if path.is_file():
        before = read_config(out)
        differing = _differences(before, config)
        if differing:
            raise ConfigError(
                f"{out} is a run of other settings ({'; '.join(differing)}): choose another --out, or these settings."
            )
        if data_path.is_file() and read_text(data_path) != digest(data):
            raise ConfigError(f"{out} was trained on other images than {data.path} holds: choose another --out.")
    elif out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: choose another --out for the run folder.")
    elif out.exists() and any(not path.name.startswith(".part-") for path in out.iterdir()):
        raise ConfigError(f"{out} holds files that are no run: choose another --out, or empty it.")
    write_text(path, to_toml(config))
    write_text(data_path, digest(data))


def _differences(before: TrainConfig, now: TrainConfig) -> list[str]:
    old, new = flat(before), flat(now)
    return [
        f"{name} was {old.get(name)}, is {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if name not in MAY_CHANGE and old.get(name) != new.get(name)
    ]


def digest(data: Dataset) -> str:
    """What was trained on: the pixels, and the conditions they were given."""
    return hashlib.sha256(data.hash.encode() + data.conditions().tobytes()).hexdigest() + "\n"
