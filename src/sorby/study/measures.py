"""What a study asks of its runs: their scores, or how their pictures follow the conditions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel

from sorby.metrics.features import load_network
from sorby.study import score_figures, score_table, scores
from sorby.study.condition_figures import figure_of
from sorby.study.condition_results import RunResult
from sorby.study.condition_table import markdown
from sorby.study.conditions import measured, together
from sorby.study.file import Study
from sorby.study.plan import Run

Result = RunResult | scores.ScoredRun


def result_type(study: Study) -> type[RunResult] | type[scores.ScoredRun]:
    """What is measured on each run of a study."""
    return RunResult if study.measure == "conditions" else scores.ScoredRun


def measure(run: Run, folder: Path, study: Study, *, device: torch.device | str = "cpu") -> Result:
    """What is asked of a run that is trained."""
    if study.measure == "scores":
        return scores.scored(run, folder, study)
    return measured(run, folder, study, network=load_network(study.network, device=device), device=device)


def reported(study: Study, results: Sequence[Result]) -> Mapping[str, bytes]:
    """What all runs say together, as files by their names: numbers, a table and figures."""
    if study.measure == "scores":
        of_scores = scores.together(study, [result for result in results if isinstance(result, scores.ScoredRun)])
        return {
            "results.json": _json(of_scores),
            "results.md": score_table.markdown(of_scores).encode(),
            **score_figures.figures_of(of_scores),
        }
    of_conditions = together(study, [result for result in results if isinstance(result, RunResult)])
    return {
        "results.json": _json(of_conditions),
        "results.md": markdown(of_conditions).encode(),
        "results.svg": figure_of(of_conditions, study.descriptors),
    }


def _json(result: BaseModel) -> bytes:
    return (result.model_dump_json(indent=2) + "\n").encode()
