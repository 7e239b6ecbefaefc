"""How the pictures of runs follow the conditions, seen and not seen."""

from collections.abc import Sequence
from pathlib import Path

import torch

from sorby.evaluation.at_conditions import AtConditions, conditioning, drawn_images, real_images
from sorby.evaluation.conditions import in_order
from sorby.generator import Generator
from sorby.metrics.features import FeatureNetwork
from sorby.metrics.sets import ImageSet
from sorby.study.condition_results import RunResult, StudyResult, deviation_rows, predictions_of, right_rows
from sorby.study.file import Study
from sorby.study.plan import Run


def measured(
    run: Run, folder: Path, study: Study, *, network: FeatureNetwork, device: torch.device | str = "cpu"
) -> RunResult:
    """Draw pictures of all conditions with the generator of a run, and compare them with real micrographs."""
    generator = Generator.load(folder, device=device)
    notes: list[str] = []
    fakes = drawn_images(generator, run.data, each=study.num, seed=run.config.seed, name=run.name, notes=notes)
    return compared(
        run,
        fakes.kept(),
        study,
        network=network,
        generator=generator.hash,
        images_seen=generator.card.images_seen,
        notes=notes,
    )


def compared(
    run: Run,
    fakes: ImageSet,
    study: Study,
    *,
    network: FeatureNetwork,
    generator: str = "",
    images_seen: int = 0,
    notes: list[str],
) -> RunResult:
    """Generated pictures of all conditions against real micrographs, and against what one would say without them."""
    reals = real_images(run.data, each=study.num, seed=0).kept()
    found = conditioning(AtConditions(reals, fakes, run.unseen), network, seed=0, notes=notes)
    keys = in_order(set(found.real.keys), run.data.space)
    return RunResult(
        name=run.name,
        variant=run.variant,
        seed=run.config.seed,
        identity=run.identity(study),
        generator=generator,
        images_seen=images_seen,
        by_condition=found.by_condition,
        fidelity=found.fidelity,
        predictions=tuple(predictions_of(found.by_condition, keys, run.data.space)),
        notes=tuple(notes),
    )


def together(study: Study, results: Sequence[RunResult]) -> StudyResult:
    """What all runs say."""
    return StudyResult(
        title=study.title,
        dataset=study.dataset.name,
        runs=tuple(results),
        deviations=tuple(deviation_rows(results, study.descriptors)),
        right=tuple(right_rows(results)),
    )
