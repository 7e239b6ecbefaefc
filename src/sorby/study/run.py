"""Where it runs: one training after another, on this machine; what is finished is not done again."""

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import ValidationError

from sorby.atomic import write_bytes, write_text
from sorby.evaluation.at_conditions import AtConditions, conditioning, drawn_images, real_images
from sorby.evaluation.conditions import in_order
from sorby.generator import Generator
from sorby.metrics.features import FeatureNetwork, load_network
from sorby.metrics.sets import ImageSet
from sorby.study.figures import figure_of
from sorby.study.plan import Plan, Run, Study
from sorby.study.results import RunResult, StudyResult, deviation_rows, predictions_of, right_rows
from sorby.study.table import markdown
from sorby.training.run import train

RESULT = "conditions.json"
"""In the folder of each run: what was measured on it."""

Say = Callable[[str], None]
Trainer = Callable[[Run, Path], None]


def run_study(
    plan: Plan,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    trainer: Trainer | None = None,
    say: Say = lambda _: None,
) -> StudyResult:
    """Train and measure each run in a folder of `out`; write results.json, results.md and results.svg.

    The same call again goes on where it was stopped: a run that is finished is neither trained nor measured again.
    `trainer` trains a run into its folder, by default with `sorby.train`. Raises `SorbyError` where a run cannot be
    done.
    """
    results: list[RunResult] = []
    network: FeatureNetwork | None = None
    for number, run in enumerate(plan.runs, start=1):
        folder = out / run.name
        if done := finished(folder, run, plan.study):
            say(f"{number} of {len(plan.runs)}: {run.name} is finished")
            results.append(done)
            continue
        say(f"{number} of {len(plan.runs)}: {run.name}, {run.config.kimg:g} kimg")
        if trainer:
            trainer(run, folder)
        else:
            train(run.data, folder, run.config, device=device)
        say(f"{number} of {len(plan.runs)}: {run.name}, drawing and measuring")
        network = network or load_network(plan.study.network, device=device)
        results.append(measured(run, folder, plan.study, network=network, device=device))
        write_text(folder / RESULT, results[-1].model_dump_json(indent=2) + "\n")
    result = together(plan.study, results)
    write_text(out / "results.json", result.model_dump_json(indent=2) + "\n")
    write_text(out / "results.md", markdown(result))
    write_bytes(out / "results.svg", figure_of(result, plan.study.descriptors))
    return result


def finished(folder: Path, run: Run, study: Study) -> RunResult | None:
    """The result of a run, where it was measured with these settings on these data."""
    try:
        found = RunResult.model_validate_json((folder / RESULT).read_text())
    except (OSError, ValidationError):
        return None
    return found if found.identity == run.identity(study) else None


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


def together(study: Study, results: list[RunResult]) -> StudyResult:
    """What all runs say."""
    return StudyResult(
        title=study.title,
        dataset=str(study.dataset),
        runs=tuple(results),
        deviations=tuple(deviation_rows(results, study.descriptors)),
        right=tuple(right_rows(results)),
    )
