"""The paragraph on methods that a paper needs: data, settings, seeds, scores, machine and cost, nothing left out."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from sorby.config import FAMILIES, TrainConfig, flat
from sorby.data.dataset import Patch
from sorby.metrics.quick import MOST_REAL
from sorby.report.markdown import inert
from sorby.study.file import Settings, Study
from sorby.study.plan import Plan
from sorby.study.work import Work

SILENT = ("preset", "seed", "symmetry", "augment", "network.size", "network.model")
"""Settings that have a sentence of their own."""


def methods(plan: Plan, works: Sequence[Work]) -> str:
    """Markdown; `works` say what the finished runs cost."""
    study, data = plan.study, plan.data
    configs = [run.config for run in plan.runs]
    first = configs[0]
    trained, held_out = ([patch for patch in data.patches if patch.split == split] for split in ("train", "held-out"))
    model = {"stylegan2": "StyleGAN2 with adaptive discriminator augmentation", "contragan": "contrastive GAN"}
    sentences = [
        f"Generators ({model[first.network.model]}) were trained with Sorby {version('sorby')} (PyTorch "
        f"{version('torch')}) on {len(trained)} patches of {data.size} px from {_parents(trained)} micrographs of "
        f"{inert(data.path.name)} (sha256 {data.hash[:16]}, licence: {inert(data.licence or 'not stated')}); "
        f"{len(held_out)} patches of {_parents(held_out)} other micrographs were held out.",
        _augmentation(configs),
        _variants(study),
        f"Each was trained with seeds {', '.join(map(str, study.seeds))} for {_range(c.kimg for c in configs)} kimg.",
        _scores(study, first),
        _cost(works),
        f"All other settings: {_settings(configs)}.",
    ]
    return "## Methods\n\n" + "\n".join(sentence for sentence in sentences if sentence) + "\n"


def _parents(patches: Iterable[Patch]) -> int:
    return len({patch.parent for patch in patches})


def _augmentation(configs: Sequence[TrainConfig]) -> str:
    """Where all runs have the same."""
    told = set()
    for config in configs:
        families = ", ".join(family for family in FAMILIES if family in config.augment) or "none"
        strength = f"target r_t {config.r_t:g}" if config.p is None else f"p {config.p:g}"
        told.add(f"Symmetry: {config.symmetry}. Augmentation: {families}, {strength}.")
    return told.pop() if len(told) == 1 else f"Symmetry: {configs[0].symmetry}."


def _variants(study: Study) -> str:
    """What differs, in the words of the study file."""
    changes = {name: changes for name, changes in study.all_variants().items() if changes}
    told = "; ".join(f"{inert(name)}: {', '.join(_assignments(change))}" for name, change in changes.items())
    return f"Variants: {told}." if told else ""


def _assignments(settings: Settings, before: str = "") -> Iterable[str]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _assignments(value, f"{before}{name}.")
        else:
            told = (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else value
            yield f"{before}{name} = {inert(str(told))}"


def _scores(study: Study, config: TrainConfig) -> str:
    if study.measure == "conditions":
        return f"At each condition {study.num} pictures were drawn and compared with as many micrographs at most."
    return (
        f"Scores every {config.tick_kimg * config.score_ticks:g} kimg: Fréchet distance, precision and recall (k = 3) "
        f"between {config.score_images} generated pictures and all training patches, also where a run saw a subset, or "
        f"all held-out ones, at most {MOST_REAL} of each, on features of EfficientNet-lite0; a run counts by its best."
    )


def _cost(works: Sequence[Work]) -> str:
    if not works:
        return ""
    hours, cpu = (sum(getattr(work, name) for work in works) / 3600 for name in ("seconds", "cpu_seconds"))
    machines = sorted({work.worker.partition(":")[0] for work in works})
    devices = sorted({work.device for work in works})
    measured = [work.kwh for work in works if work.kwh is not None]
    by = ", ".join(sorted({work.energy_by for work in works if work.energy_by}))
    energy = f"{sum(measured):.2g} kWh" if len(measured) == len(works) else "energy not measured"
    energy += f" ({by})" if by else ""
    return (
        f"The {len(works)} finished runs took {hours:.1f} hours on {', '.join(devices)} of {len(machines)} machine"
        f"{'s' if len(machines) > 1 else ''}, {cpu:.1f} processor hours, {energy}."
    )


def _settings(configs: Sequence[TrainConfig]) -> str:
    """Every setting that all runs share."""
    tables = [flat(config) for config in configs]
    shared = {name: value for name, value in tables[0].items() if all(table[name] == value for table in tables)}
    return ", ".join(f"{name} = {_told(value)}" for name, value in shared.items() if name not in SILENT)


def _told(value: object) -> str:
    if value in (None, "", (), {}):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _range(values: Iterable[float]) -> str:
    ends = sorted(set(values))
    return " to ".join(f"{value:g}" for value in dict.fromkeys((ends[0], ends[-1])))
