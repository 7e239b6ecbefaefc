"""A generator as one ONNX file, of which other programs draw without Sorby and without PyTorch.

Conditions go in as people write them, in their units: the graph scales them itself. All chance comes from outside, so
that the same inputs give the same pictures. docs/export.md has the inputs, and how to draw with NumPy alone.
"""

import copy
import json
import logging
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from sorby.atomic import new_file
from sorby.card import GeneratorCard
from sorby.conditions import Condition
from sorby.errors import ConfigError, WeightsError
from sorby.generator import CONDITION_SAMPLES, Generator, Values
from sorby.seeds import rng_for

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18
"""Read by onnxruntime from version 1.14 on, of 2023."""
LARGEST_DIFFERENCE = 1e-4
"""Between pictures of the file and of the generator, which are -1 to 1: a hundredth of a grey value."""
SYNTHETIC = "Pictures drawn by this file are synthetic. They are not evidence of a microstructure that was observed."

Inputs = dict[str, Float32[np.ndarray, "n *shape"]]


class Graph(nn.Module):
    """What the file computes, of a generator in float32 on the processor."""

    samples: Tensor

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.network = generator.network
        self.conditions = generator.card.space.conditions
        self.mean_follows = generator.card.network.condition_in == "w"
        self.noise_shapes = [layer.shape[1:] for layer in generator.latents([0]).noise]
        z = torch.randn(CONDITION_SAMPLES, self.network.z_dim, generator=rng_for(0, "mean w"))
        self.register_buffer("samples", z, persistent=False)

    def forward(
        self,
        z: Float[Tensor, "n z"],
        truncation: Float[Tensor, " n"],
        condition: Float[Tensor, "n c"] | None = None,
        noise: Float[Tensor, "n m"] | None = None,
    ) -> Float[Tensor, "n _ h w"]:
        encoded = z[:, :0] if condition is None else self.encoded(condition)
        ws, mean = self.network.styles(z, encoded), self.network.w_mean
        if condition is not None and self.mean_follows:
            mean = self.network.mapping.mean(self.samples, encoded)[:, None]
        layers = [] if noise is None else self.layers(noise)
        return self.network.synthesis(mean + truncation[:, None, None] * (ws - mean), layers)

    def encoded(self, condition: Float[Tensor, "n c"]) -> Float[Tensor, "n k"]:
        """Conditions in their units, classes by their number, to what the network reads."""
        columns = zip(self.conditions, condition.unbind(1), strict=True)
        return torch.cat([_encoded(one, values) for one, values in columns], 1)

    def layers(self, noise: Float[Tensor, "n m"]) -> list[Tensor]:
        """The noise of each layer out of one row a picture."""
        parts = noise.split([shape.numel() for shape in self.noise_shapes], 1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.noise_shapes, strict=True)]


def export_onnx(generator: Generator, out: Path) -> float:
    """Write NAME.onnx; gives the largest difference between its pictures and those of the generator.

    Raises `ConfigError` for another suffix or where a package is missing, `WeightsError` where the two differ by more
    than 1e-4, and `DataError` where `out` cannot be written. Then nothing is written.
    """
    if out.suffix.lower() != ".onnx":
        raise ConfigError(f"{out} does not end in .onnx: name a file that does.")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"An ONNX file needs {error.name}: pip install 'sorby[onnx]'.") from None
    with new_file(out) as temporary:  # first of all, since tracing takes its time
        exact = _exact(generator)
        model = traced(Graph(exact), inputs_of(exact, range(2)))
        describe(model, exact)
        temporary.write_bytes(model.SerializeToString())
        difference = _difference(exact, temporary, range(3), truncation=0.7)
        if not difference <= LARGEST_DIFFERENCE:
            raise WeightsError(
                f"Pictures of {out} would differ by {difference:.2g} from those of the generator, expected at most "
                f"{LARGEST_DIFFERENCE:g}: report this with PyTorch {torch.__version__}; Sorby is tested with 2.13.0."
            )
    return difference


def inputs_of(
    generator: Generator, seeds: Sequence[int], *, truncation: float = 1.0, condition: Values | None = None
) -> Inputs:
    """What the file takes to draw what `generator.images` draws, in float32.

    Raises `ConfigError` for a condition that the generator does not know.
    """
    z, noise = generator.latents(seeds)
    inputs = {"z": z, "truncation": torch.full((len(seeds),), truncation)}
    if conditions := generator.card.space.conditions:
        asked = [generator.condition_of(seed) if condition is None else condition for seed in seeds]
        for values in asked:
            generator.card.space.encode(values)  # refuses what is unfit
        inputs["condition"] = torch.tensor([[_number(one, values[one.name]) for one in conditions] for values in asked])
    if noise:
        inputs["noise"] = torch.cat([layer.flatten(1) for layer in noise], 1)
    return {name: tensor.float().cpu().numpy() for name, tensor in inputs.items()}


def traced(graph: Graph, inputs: Inputs) -> "ModelProto":
    """The graph for any number of pictures."""
    batch = torch.export.Dim("n")
    # It tells of torchvision, which is not needed, and of its own deprecated parts.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            kwargs={name: torch.from_numpy(values) for name, values in inputs.items()},
            dynamic_shapes={name: {0: batch} for name in inputs},
            input_names=list(inputs),
            output_names=["images"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def describe(model: "ModelProto", generator: Generator) -> None:
    """Write into the file what its numbers mean."""
    card = generator.card
    model.producer_name, model.producer_version = "sorby", version("sorby")
    model.doc_string = SYNTHETIC
    model.graph.name = "generator"
    texts = {**_of_inputs(card), "images": f"pictures: -1 black, 1 white, a little beyond now and then; {_scale(card)}"}
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = texts[value.name]
    for node in (*model.graph.node, *model.graph.value_info):
        node.ClearField("metadata_props")  # lines of code, with the folders of whoever exported it
    for key, text in facts(generator).items():
        model.metadata_props.add(key=key, value=text)


def facts(generator: Generator) -> dict[str, str]:
    """Metadata of the file; an empty pixel size or licence is not known."""
    card = generator.card
    return {
        "synthetic": "true",
        "generator": generator.hash,
        "pixel_size_um": "" if card.pixel_size_um is None else f"{card.pixel_size_um:.10g}",
        "conditions": json.dumps([_column(one) for one in card.space.conditions], ensure_ascii=False),
        "licence": str(card.data.get("licence", "")),
        "card": card.model_dump_json(),
    }


def _of_inputs(card: GeneratorCard) -> dict[str, str]:
    columns = (f"{one.describe()}{' by its number from 0' if one.classes else ''}" for one in card.space.conditions)
    return {
        "z": "normally distributed numbers, other ones for each picture",
        "truncation": "0 to 1, 1 for none: pulls pictures towards the mean, at the condition",
        "condition": "; ".join(columns),
        "noise": "normally distributed numbers, of which fine detail is made",
    }


def _column(condition: Condition) -> dict[str, Any]:
    return condition.model_dump(include={"name", "unit", "kind", "low", "high", "classes"})


def _scale(card: GeneratorCard) -> str:
    return "pixel size not known" if card.pixel_size_um is None else f"{card.pixel_size_um:g} µm a pixel"


def _encoded(condition: Condition, values: Float[Tensor, " n"]) -> Float[Tensor, "n _"]:
    if condition.kind == "class":
        return torch.eye(condition.dim).index_select(0, values.long())
    scaled = values.log10() if condition.kind == "log" else values
    return ((scaled - condition.mean) / condition.std)[:, None]


def _number(condition: Condition, value: str | float) -> float:
    return float(condition.classes.index(str(value)) if condition.kind == "class" else value)


def _exact(generator: Generator) -> Generator:
    network = copy.deepcopy(generator.network).cpu()
    network.freeze(torch.float32)
    return Generator(network, generator.card)


@torch.inference_mode()
def _difference(generator: Generator, file: Path, seeds: Sequence[int], *, truncation: float) -> float:
    from onnxruntime import InferenceSession

    inputs = inputs_of(generator, seeds, truncation=truncation)
    (pictures,) = InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, dict(inputs))
    z, noise = generator.latents(seeds)
    expected = generator.network.synthesis(generator.styles(z, generator.encoded(seeds), truncation), noise)
    return float(np.abs(pictures - expected.numpy()).max())
