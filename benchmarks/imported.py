"""Whether an imported network draws the pictures of the program that made it: the tables of docs/import.md.

    python benchmarks/imported.py --official stylegan2-ada-pytorch
    python benchmarks/imported.py --official stylegan3
    python benchmarks/imported.py --rosinality stylegan2-pytorch
    python benchmarks/imported.py --lucidrains others

Networks are made by the other program with random weights, biases, strengths of noise and mean of w, or trained by it
for some steps; written to a file as its training does; and imported. Both then draw the same latents, with the same
noise. FOLDER is a checkout of NVlabs/stylegan2-ada-pytorch (commit d72cc7d), NVlabs/stylegan3 (c233a91) or
rosinality/stylegan2-pytorch (bef283a), or a folder with stylegan2-pytorch 1.9.0. Nothing of theirs is here.
"""

import argparse
import copy
import importlib.util
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import torch
from packaging.version import Version
from quality import import_from
from safetensors.torch import load_file
from torch import Tensor

from sorby.generator import Generator
from sorby.interop.imported import import_file
from sorby.models.stylegan2 import Discriminator
from sorby.training.transfer import START

NUM = 4
"""Pictures, one group of the minibatch standard deviation."""
TRUNCATIONS = (1.0, 0.7)
STEPS = 100


@dataclass
class Case:
    """A network of the other program, in a file, and what it makes of latents."""

    name: str
    path: Path
    draw: Callable[[Tensor, Tensor, float, Sequence[Tensor]], Tensor]
    """z, condition, truncation and noise of each layer (largest last) to pictures in [-1, 1]."""
    judge: Callable[[Tensor, Tensor], Tensor] | None
    """Pictures and condition to scores."""


def main() -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in MAKERS:
        parser.add_argument(f"--{name}", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of operators that are for GPUs only
    chosen = [name for name in MAKERS if getattr(args, name)]
    if len(chosen) != 1:
        parser.error("name one folder")  # their modules have the same names
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    print("| network | largest picture value | differ, psi 1 | psi 0.7 | largest score | differ |")
    print("| --- " * 6 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for case in MAKERS[chosen[0]](getattr(args, chosen[0]), Path(folder)):
            print(row(case, Path(folder) / "imported"), flush=True)


def row(case: Case, out: Path) -> str:
    """Import the file, and compare."""
    has_start = import_file(case.path, out).has_start
    generator = Generator.load(out, dtype=torch.float32)
    network, config = generator.network, generator.card.network
    z = torch.randn(NUM, config.z_dim)
    condition = (
        torch.eye(config.condition_dim)[torch.arange(NUM) % config.condition_dim] if config.condition_dim else z[:, :0]
    )
    noise = network.synthesis.draw_noise(NUM, rng=torch.Generator().manual_seed(0))
    theirs = [case.draw(z, condition, psi, noise) for psi in TRUNCATIONS]
    ours = [network.synthesis(generator.styles(z, condition, psi), noise) for psi in TRUNCATIONS]
    cells = [f"{theirs[0].abs().max():.3g}"]
    cells += [f"{(mine - other).abs().max():.1e}" for mine, other in zip(ours, theirs, strict=True)]
    if case.judge is not None and has_start:
        D = Discriminator(config)
        start = load_file(out / START)
        D.load_state_dict({name.removeprefix("D."): start[name] for name in start if name.startswith("D.")})
        images = theirs[0].clamp(-1, 1)
        scores = case.judge(images, condition)
        cells += [f"{scores.abs().max():.3g}", f"{(D(images, condition) - scores).abs().max():.1e}"]
    else:
        cells += ["", "left out"]
    return f"| {case.name} | {' | '.join(cells)} |"


def official(folder: Path, scratch: Path) -> Iterator[Case]:
    """Of StyleGAN2-ADA, or of the StyleGAN2 part of StyleGAN3."""
    import_from(folder)
    if importlib.util.find_spec("pkg_resources") is None:  # StyleGAN3 asks it for the order of versions
        sys.modules["pkg_resources"] = MagicMock(parse_version=Version)
    import dnnlib
    from training.augment import AugmentPipe

    is_third = (folder / "training" / "networks_stylegan2.py").is_file()
    networks = __import__(f"training.networks{'_stylegan2' if is_third else ''}", fromlist=["Generator"])
    easy = dnnlib.EasyDict

    def made(
        size: int, *, channels: int, classes: int, base: int, widest: int, dim: int, layers: int, clamp: Any
    ) -> Any:
        widths = easy(channel_base=base, channel_max=widest, conv_clamp=clamp, num_fp16_res=4 if clamp else 0)
        image = {"c_dim": classes, "img_resolution": size, "img_channels": channels}
        synthesis = widths if is_third else {"synthesis_kwargs": widths}
        G = networks.Generator(z_dim=dim, w_dim=dim, mapping_kwargs=easy(num_layers=layers), **image, **synthesis)
        D = networks.Discriminator(**image, **widths, epilogue_kwargs=easy(mbstd_group_size=4))
        return G.eval().requires_grad_(False), D.eval().requires_grad_(False)

    def written(name: str, G: Any, D: Any) -> Case:
        pipe = AugmentPipe(xflip=1)
        pipe.p.fill_(0.25)
        parts = {"training_set_kwargs": easy(path="steel.zip"), "G": G, "D": D, "G_ema": copy.deepcopy(G).eval()}
        path = scratch / "network-snapshot-000123.pkl"
        path.write_bytes(pickle.dumps(parts | {"augment_pipe": pipe}))

        def draw(z: Tensor, condition: Tensor, psi: float, noise: Sequence[Tensor]) -> Tensor:
            layers = [module for module in G.synthesis.modules() if hasattr(module, "noise_const")]
            layers.sort(key=lambda module: module.resolution)  # keeps conv0 before conv1
            pictures = []
            for row in range(NUM):  # the official noise is that of all pictures
                for layer, field in zip(layers, noise, strict=True):
                    layer.noise_const.copy_(field[row, 0])
                one = (z[row : row + 1], condition[row : row + 1])
                pictures.append(G(*one, truncation_psi=psi, noise_mode="const", force_fp32=True))
            return torch.cat(pictures)

        return Case(name, path, draw, lambda images, condition: D(images, condition, force_fp32=True))

    small = {"channels": 1, "classes": 0, "base": 512, "widest": 32, "dim": 16, "layers": 2, "clamp": None}
    full = {"base": 16384, "widest": 512, "dim": 512, "layers": 2, "clamp": 256}
    for name, size, settings in (
        ("32 px, narrow", 32, small),
        ("32 px, narrow, 3 classes", 32, small | {"classes": 3}),
        ("32 px, narrow, held at 1.5, 5 classes", 32, small | {"classes": 5, "layers": 8, "clamp": 1.5}),
        ("64 px, colour", 64, small | full | {"channels": 3}),
        ("128 px, 8 layers, 4 classes", 128, small | full | {"classes": 4, "layers": 8}),
        ("256 px", 256, small | full),
        ("512 px, base 32768, 8 layers", 512, small | full | {"base": 32768, "layers": 8}),
    ):
        G, D = made(size, **settings)
        disturb(G), disturb(D)
        yield written(name, G, D)
    G, D = made(64, **small | full | {"base": 4096, "widest": 128, "dim": 64})
    train(G, D)
    yield written(f"64 px, trained for {STEPS} steps", G, D)


def disturb(network: torch.nn.Module) -> None:
    """Give a new network biases, strengths of noise and a mean of w, as if it had learnt."""
    for name, weight in network.named_parameters():
        if name.endswith(("bias", "noise_strength", "noise.weight")):
            slow = 100 if name.startswith(("mapping.fc", "style.")) else 1
            weight.data += 0.2 * slow * torch.randn_like(weight)
    for name, buffer in network.named_buffers():
        if name.endswith("w_avg"):
            buffer.normal_()


@torch.enable_grad()
def train(G: Any, D: Any) -> None:
    """Some steps towards random fields, by the losses of StyleGAN2 without its regularisers, at 32 px a scale."""
    G.train().requires_grad_(True)
    D.train().requires_grad_(True)
    size, empty = G.img_resolution, torch.zeros(NUM, 0)
    of_G, of_D = (torch.optim.Adam(net.parameters(), lr=0.002, betas=(0.0, 0.99)) for net in (G, D))
    softplus = torch.nn.functional.softplus
    for _ in range(STEPS):
        coarse = torch.randn(NUM, 1, size // 4, size // 4)
        real = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(-1, 1)
        fake = G(torch.randn(NUM, G.z_dim), empty, force_fp32=True)
        of_G.zero_grad()
        softplus(-D(fake, empty, force_fp32=True)).mean().backward()
        of_G.step()
        of_D.zero_grad()
        loss = softplus(D(fake.detach(), empty, force_fp32=True)) + softplus(-D(real, empty, force_fp32=True))
        loss.mean().backward()
        of_D.step()
    G.eval().requires_grad_(False)
    D.eval().requires_grad_(False)


def rosinality(folder: Path, scratch: Path) -> Iterator[Case]:
    """Full widths, which are the only ones; its operators for GPUs are not built."""
    sys.path.insert(0, str(folder))
    with patch("torch.utils.cpp_extension.load", MagicMock()):
        import model
    for name, size, multiplier in (("32 px", 32, 2), ("128 px, half the widths", 128, 1), ("256 px", 256, 2)):
        G = model.Generator(size, 512, 8, channel_multiplier=multiplier).eval()
        D = model.Discriminator(size, channel_multiplier=multiplier).eval()
        disturb(G), disturb(D)
        mean = torch.randn(512)
        args = argparse.Namespace(batch=16, distributed=False, size=size)
        path = scratch / "010000.pt"
        state = {"g": G.state_dict(), "d": D.state_dict(), "g_ema": G.state_dict(), "latent_avg": mean}
        torch.save({**state, "args": args, "ada_aug_p": 0.1}, path)

        def draw(z: Tensor, _: Tensor, psi: float, noise: Sequence[Tensor], G: Any = G, mean: Tensor = mean) -> Tensor:
            return G([z], truncation=psi, truncation_latent=mean, noise=list(noise))[0]

        yield Case(name, path, draw, lambda images, _, D=D: D(images))


def lucidrains(folder: Path, scratch: Path) -> Iterator[Case]:
    """Of the default width and another."""
    import_from(folder)
    with patch("torch.cuda.is_available", return_value=True):
        from stylegan2_pytorch import stylegan2_pytorch as code
    for name, size, capacity in (("32 px, capacity 4", 32, 4), ("64 px", 64, 16), ("128 px", 128, 16)):
        S, G = code.StyleVectorizer(512, 8), code.Generator(size, 512, capacity)
        for block in G.blocks:
            for layer in (block.to_noise1, block.to_noise2):
                torch.nn.init.normal_(layer.weight, std=0.2)
                torch.nn.init.normal_(layer.bias, std=0.2)
        state = {
            f"{short}.{key}": value for short, net in (("SE", S), ("GE", G)) for key, value in net.state_dict().items()
        }
        path = scratch / "model_7.pt"
        torch.save({"GAN": state, "version": "1.9.0"}, path)
        out = scratch / "mean"
        import_file(path, out)
        mean = Generator.load(out, dtype=torch.float32).network.w_mean  # theirs is drawn anew each time

        def draw(
            z: Tensor, _: Tensor, psi: float, noise: Sequence[Tensor], S: Any = S, G: Any = G, mean: Tensor = mean
        ) -> Tensor:
            w = mean + psi * (S(z) - mean)
            field = noise[-1].permute(0, 3, 2, 1)  # they turn it over
            return G(w[:, None].expand(-1, G.num_layers, -1), field) * 2 - 1

        yield Case(name, path, draw, None)


MAKERS = {"official": official, "rosinality": rosinality, "lucidrains": lucidrains}

if __name__ == "__main__":
    main()
