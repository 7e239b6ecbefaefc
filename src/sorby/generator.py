"""What a user holds: a trained generator and its card, in a folder without pickles.

model.safetensors   weights
config.json         the card
README.md           the card in words

This is a layout of the Hugging Face hub as well: `Generator.from_pretrained`, `Generator.push_to_hub`.
"""

import copy
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from sorby import hub
from sorby.allocator import LARGEST_KEPT_BYTES, keep_freed_memory
from sorby.atomic import new_folder, write_bytes, write_text
from sorby.card import FORMAT, GeneratorCard, model_card, shape_of
from sorby.config import NetworkConfig
from sorby.errors import ConfigError, WeightsError
from sorby.models.build import AnyGenerator, generator_network, largest_activation
from sorby.models.compiled import CompiledSynthesis, how_drawn, is_compiled
from sorby.models.place import fastest_dtype, name_of, place
from sorby.models.weights import check_weights
from sorby.seeds import rng_for
from sorby.shipped import FOLDER, names
from sorby.untrusted import MOST_WEIGHTS, first_words, parse_json, read_bytes, read_text

CONDITION_SAMPLES = 1024
MOST_AT_ONCE = 32

Values = Mapping[str, str | float]


class Latents(NamedTuple):
    """What a picture is drawn from."""

    z: Float[Tensor, "n z"]
    noise: tuple[Tensor, ...]
    """Of each layer, "n c h w"; empty for a network that draws none."""


class Generator:
    """Draws micrographs: `Generator.load(path).images(range(16))`."""

    def __init__(
        self,
        network: AnyGenerator,
        card: GeneratorCard,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network = place(network, device).eval()
        self.card = card
        self.device = torch.device(device)
        self.dtype = dtype
        self._is_fixed = False
        """Whether the weights change no more, so that the hash is found once."""
        self._known_hash: str | None = None
        self._compiled: CompiledSynthesis | None = None

    @classmethod
    def load(
        cls, path: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> "Generator":
        """Open a generator folder, the best generator of a run folder, one that comes with Sorby by its name
        (`uhcs-64`), or one of a hub (`hf:user/name`), to draw and not to train.

        Without a `dtype` the convolutions are done in the one that is fastest on `device`; pictures in bfloat16 are
        half a grey value off on average, and drawn by OpenVINO where it is installed and `device` a processor with AMX.
        The process keeps the memory of freed tensors from then on: `sorby.allocator`.
        Raises `WeightsError` where `path` holds or names none, or weights that are damaged or do not fit the card.
        """
        keep_freed_memory()
        card, network = read_generator(Path(path))
        generator = cls(network, card, device=device, dtype=dtype or fastest_dtype(device))
        network.freeze(generator.dtype)
        generator._is_fixed = True
        return generator

    def with_dtype(self, dtype: torch.dtype) -> "Generator":
        """The same generator in another precision, with weights of its own; itself where it has this one already."""
        if dtype == self.dtype:
            return self
        network = copy.deepcopy(self.network)
        network.freeze(dtype)
        other = Generator(network, self.card, device=self.device, dtype=dtype)
        other._is_fixed, other._known_hash = self._is_fixed, self._known_hash
        return other

    def save(self, path: str | Path) -> None:
        """Write the generator folder in one step, in the place of an earlier one.

        Raises `DataError` where `path` holds files that no generator has, and touches none of them.
        """
        with new_folder(Path(path), ours=hub.FILES) as folder:
            write_bytes(folder / "model.safetensors", save_tensors(self._tensors()))
            write_text(folder / "config.json", self.card.model_dump_json(indent=2) + "\n")
            write_text(folder / "README.md", model_card(self.card))

    save_pretrained = save

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> "Generator":
        """`load` a folder that is there, or else fetch `user/name` from the Hugging Face hub first.

        `revision` is a branch, a tag or a commit of it; `token` that of a private generator. Raises like `load`, and
        where no hub answers.
        """
        is_here = Path(name).exists() or str(name) in names()
        folder = name if is_here else hub.fetch(str(name).removeprefix(hub.PREFIX), revision=revision, token=token)
        return cls.load(folder, device=device, dtype=dtype)

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Publish the generator folder as `user/name` on the Hugging Face hub; gives its address.

        `private` is for one that is new. Raises `WeightsError` where no hub takes it.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder) / "generator")
            return hub.push(Path(folder) / "generator", repo_id, private=private, token=token)

    @property
    def hash(self) -> str:
        """SHA-256 of the weights and the shape of the network: names this generator."""
        if self._known_hash is None or not self._is_fixed:
            digest = hashlib.sha256(shape_of(self.card.network).encode())
            digest.update(save_tensors(self._tensors()))
            self._known_hash = digest.hexdigest()
        return self._known_hash

    @property
    def precision(self) -> str:
        """In what pictures are drawn: `float32`, `bfloat16`, or `bfloat16, OpenVINO 2026.4.1`."""
        return how_drawn(self.device, self.dtype) if self._is_fixed else name_of(self.dtype)

    @property
    def num_at_once(self) -> int:
        """Pictures that are drawn fastest in one call, 1 to 32."""
        return at_once(self.card.network, self.device, self.dtype)

    def images(
        self,
        seeds: Sequence[int],
        *,
        truncation: float = 1.0,
        condition: Values | None = None,
        offset: Float[Tensor, "l d"] | None = None,
        noise_seed: int | None = None,
        batch_size: int | None = None,
    ) -> UInt8[np.ndarray, "n c h w"]:
        """One picture a seed; a picture depends on its own seed only, up to rounding.

        They are drawn `batch_size` at a time, or as many as are fastest.

        `truncation` in 0..1 pulls w towards its mean: fewer kinds of picture, fewer failures (Karras et al. 2019).
        `offset` is added to w of every picture, after that: `sorby.latent.directions`.
        `noise_seed` is the seed whose noise all pictures have, in place of their own.
        Without a `condition` a conditional generator draws one of those in its data, by the seed.
        Raises `ConfigError` for a condition it was not trained with.
        """
        if not 0 <= truncation <= 1:
            raise ConfigError(f"Truncation is {truncation}, expected 0 to 1.")
        network, size = self.card.network, batch_size or self.num_at_once
        parts = []
        for start in range(0, len(seeds), size):
            some = seeds[start : start + size]
            z, noise = self.latents(some)
            if noise_seed is not None:
                noise = tuple(layer.expand(len(some), -1, -1, -1) for layer in self.latents([noise_seed]).noise)
            ws = self.styles(z, self.encoded(some, condition), truncation)
            parts.append(self.draw(ws if offset is None else ws + offset.to(ws), noise))
        empty = np.zeros((0, network.channels, network.size, network.size), np.uint8)
        return np.concatenate(parts) if parts else empty

    def condition_of(self, seed: int) -> Values:
        """The condition that a seed draws when none is asked for, as often as in the training data; {} without any."""
        seen = self.card.seen_conditions
        if not seen:
            return {}
        # torch.multinomial chooses otherwise in another version of PyTorch; a uniform number is the same in all.
        chosen = float(torch.rand((), generator=rng_for(seed, "condition"), dtype=torch.float64))
        upto = np.cumsum(self.card.seen_counts)
        return seen[int(np.searchsorted(upto, chosen * upto[-1], side="right"))]

    def latents(self, seeds: Sequence[int]) -> Latents:
        """z and noise of each seed."""
        rngs = [rng_for(seed, "picture") for seed in seeds]
        z = torch.cat([torch.randn(1, self.network.z_dim, generator=rng) for rng in rngs])
        layers = zip(*(self.network.synthesis.draw_noise(1, rng=rng) for rng in rngs), strict=True)
        return Latents(z.to(self.device), tuple(torch.cat(layer).to(self.device) for layer in layers))

    def z_of(self, seeds: Sequence[int]) -> Float[Tensor, "n z"]:
        """z of each seed alone: of many seeds the noise would take a thousand times the memory."""
        rngs = (rng_for(seed, "picture") for seed in seeds)
        return torch.cat([torch.randn(1, self.network.z_dim, generator=rng) for rng in rngs]).to(self.device)

    def encoded(self, seeds: Sequence[int], condition: Values | None = None) -> Float[Tensor, "n k"]:
        """The condition of each seed, or the one asked for, as the network reads it."""
        asked = [self.condition_of(seed) if condition is None else condition for seed in seeds]
        return torch.from_numpy(np.stack([self.card.space.encode(values) for values in asked])).to(self.device)

    @torch.inference_mode()
    def styles(
        self, z: Float[Tensor, "n z"], encoded: Float[Tensor, "n k"], truncation: float | Float[Tensor, " n"] = 1.0
    ) -> Float[Tensor, "n l d"]:
        """w of each layer, truncated by one number or by one for each picture."""
        ws = self.network.styles(z, encoded)
        psi = torch.as_tensor(truncation, device=self.device).expand(len(ws))[:, None, None]
        if bool((psi == 1).all()):
            return ws
        mean = self.mean_w(encoded)[:, None]
        return mean + psi * (ws - mean)

    @torch.inference_mode()
    def draw(self, ws: Float[Tensor, "n l d"], noise: Sequence[Tensor]) -> UInt8[np.ndarray, "n c h w"]:
        """The picture of each w and noise, all at once."""
        if not self._is_fixed or not is_compiled(self.device, self.dtype):
            return to_grey_values(self.network.synthesis(ws, noise, dtype=self.dtype))
        self._compiled = self._compiled or CompiledSynthesis(self.network, ws, noise)
        return to_grey_values(self._compiled(ws, noise))

    @torch.inference_mode()
    def mean_w(self, encoded: Float[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        """Centre of truncation: the mean of w, at the condition where there is one.

        A network whose conditions are joined to z keeps the mean over all of them, which the official code has.
        """
        if not encoded.shape[1] or self.card.network.condition_in == "z":
            return self.network.w_mean.expand(len(encoded), -1)
        z = torch.randn(CONDITION_SAMPLES, self.network.z_dim, generator=rng_for(0, "mean w")).to(self.device)
        distinct, which = encoded.unique(dim=0, return_inverse=True)
        means = [self.network.mapping(z, row.expand(len(z), -1)).mean(0) for row in distinct]
        return torch.stack(means)[which]

    def _tensors(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}


def at_once(network: NetworkConfig, device: torch.device, dtype: torch.dtype) -> int:
    """Pictures that are drawn fastest in one call, 1 to 32.

    On a CPU those whose activations stay, if one picture's do, under what the process keeps when they are freed.
    """
    if device.type != "cpu":
        return MOST_AT_ONCE
    return min(max((LARGEST_KEPT_BYTES - 1) // (largest_activation(network) * dtype.itemsize), 1), MOST_AT_ONCE)


def to_grey_values(images: Float[Tensor, "n c h w"]) -> UInt8[np.ndarray, "n c h w"]:
    """[-1, 1] to grey values 0 to 255; what lies outside is clipped."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def from_grey_values(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Grey values 0 to 255 to [-1, 1]."""
    return images.float() / 127.5 - 1


def read_generator(path: Path) -> tuple[GeneratorCard, AnyGenerator]:
    """Card and network of a generator as they were trained, with `WeightsError` as `Generator.load` has it."""
    folder = generator_folder(path)
    try:
        text = read_text(folder / "config.json")
        written = parse_json(text)
        _check_format(written, folder)
        _check_age(written, folder)
        card = GeneratorCard.model_validate_json(text)
        tensors = load_tensors(read_bytes(folder / "model.safetensors", MOST_WEIGHTS))
    except (OSError, ValueError, SafetensorError) as error:
        reason = first_words(error)
        raise WeightsError(f"{folder} cannot be read as a generator ({reason}): copy the whole folder again.") from None
    with torch.device("meta"):  # takes no memory: a card may ask for any
        shape = generator_network(card.network)
    check_weights(shape, tensors, str(folder), unfit="weights and config.json do not belong together; copy both again")
    network = generator_network(card.network)
    network.load_state_dict(tensors)
    return card, network


def generator_folder(path: Path) -> Path:
    """Where the weights of `Generator.load(path)` are. Raises `WeightsError` where there are none."""
    path = hub.fetched(path)
    # A folder of pictures may bear the name of the generator that drew them.
    shipped = [FOLDER / path] if str(path) in names() else []
    for folder in (path, path / "best", path / "last", *shipped):
        if (folder / "config.json").is_file():
            return folder
    raise WeightsError(
        f"{path} is no generator: expected a folder with model.safetensors and config.json, a run, one that comes "
        f"with Sorby ({', '.join(names())}), or hf:USER/NAME for one of a hub."
    )


def _check_age(card: object, folder: Path) -> None:
    """The first conditional generators have no `seen_counts`, and took conditions in another way."""
    if isinstance(card, dict) and card.get("seen_conditions") and "seen_counts" not in card:
        raise WeightsError(
            f"{folder} is a conditional generator of 22 November 2026 or before, whose conditions enter in another way "
            "than they do now: train it again on its dataset."
        )


def _check_format(card: object, folder: Path) -> None:
    number = card.get("format") if isinstance(card, dict) else None
    if isinstance(number, int) and number > FORMAT:
        raise WeightsError(f"{folder} has format {number}, this Sorby reads up to {FORMAT}: update Sorby.")
