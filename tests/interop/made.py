"""Files as other programs write them, of networks of random weights, and their pictures by a slow, plain reckoning.

The reckoning follows the published equations channel by channel, with the convolutions of scipy.
"""

import argparse
import itertools
import pickle
import sys
from types import ModuleType

import numpy as np
import torch
from scipy.signal import convolve2d

SIZE, DIM, WIDTHS = 32, 6, {4: 8, 8: 8, 16: 8, 32: 4}
TAPS = np.array([1, 3, 3, 1]) / 8
FILTER = np.outer(TAPS, TAPS)
ROOT2 = np.sqrt(2)


def official(*, size=SIZE, channels=1, classes=0, layers=2, clamp=None, seed=0):
    """Weights and settings of a generator and a discriminator by the official names, flat."""
    widths = {side: min(8, 128 // side) for side in (4, 8, 16, 32, 64) if side <= size}
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=rng)

    def connected(inputs, outputs, *, slow=1.0, mean=0.0, activation="linear"):
        weights = {"weight": normal(outputs, inputs) / slow, "bias": (0.2 * normal(outputs) + mean) / slow}
        return {**weights, "bias_gain": slow, "activation": activation}

    def conv(inputs, outputs, kernel, *, bias=True, **settings):
        weights = {
            "weight": normal(outputs, inputs, kernel, kernel),
            "resample_filter": torch.from_numpy(FILTER).float(),
        }
        return {**weights, **({"bias": 0.2 * normal(outputs)} if bias else {}), "conv_clamp": clamp, **settings}

    def styled(inputs, outputs, side):
        affine = under("affine", connected(DIM, inputs, mean=1))
        noise = {"noise_strength": 0.3 * normal(), "noise_const": normal(side, side), "use_noise": True}
        return {**conv(inputs, outputs, 3, activation="lrelu"), **noise, **affine}

    def mapping(inputs, dim, num):
        embed = under("embed", connected(classes, dim)) if classes else {}
        sizes = itertools.pairwise([inputs] + [dim] * num)
        fcs = [under(f"fc{i}", connected(a, b, slow=0.01, activation="lrelu")) for i, (a, b) in enumerate(sizes)]
        return merged(embed, *fcs)

    shape = {"img_resolution": size, "img_channels": channels, "c_dim": classes}
    G = {**shape, "z_dim": DIM, "w_dim": DIM}
    G |= under("mapping", {**mapping(DIM * (2 if classes else 1), DIM, layers), "w_avg": normal(DIM)})
    D = dict(shape)
    for side, width in widths.items():
        block = {"architecture": "skip"}
        if side == 4:
            block["const"] = normal(width, 4, 4)
        else:
            block |= under("conv0", styled(widths[side // 2], width, side))
        block |= under("conv1", styled(width, width, side))
        rgb = {"weight": normal(channels, width, 1, 1), "bias": 0.2 * normal(channels), "conv_clamp": clamp}
        block |= under("torgb", {**rgb, **under("affine", connected(DIM, width, mean=1))})
        G |= under(f"synthesis.b{side}", block)
        lrelu = {"activation": "lrelu"}
        if side > 4:
            below = widths[side // 2]
            block = merged(
                under("conv0", conv(width, width, 3, **lrelu)),
                under("conv1", conv(width, below, 3, **lrelu)),
                under("skip", {**conv(width, below, 1, bias=False), "conv_clamp": None, "activation": "linear"}),
                under("fromrgb", conv(channels, width, 1, **lrelu)) if side == size else {},
            )
        else:
            block = merged(
                under("mbstd", {"group_size": 4, "num_channels": 1}),
                under("conv", conv(width + 1, width, 3, **lrelu)),
                under("fc", connected(width * 16, width, activation="lrelu")),
                under("out", connected(width, width if classes else 1)),
            )
        D |= under(f"b{side}", {**block, "architecture": "resnet"})
    return G, D | (under("mapping", mapping(widths[4], widths[4], 8)) if classes else {})


def under(name, values):
    return {f"{name}.{key}": value for key, value in values.items()}


def merged(*parts):
    return {key: value for part in parts for key, value in part.items()}


# Pictures and scores, slowly


def lrelu(x):
    return np.where(x > 0, x, 0.2 * x)


def held(x, clamp):
    return x if clamp is None else np.clip(x, -clamp, clamp)


def unit(x):
    return x / np.sqrt((x**2).mean() + 1e-8)


class Values:
    """The numbers of a network, in double precision."""

    def __init__(self, flat):
        self.flat = flat
        self.clamp = next(value for name, value in flat.items() if name.endswith("conv0.conv_clamp"))

    def __call__(self, name):
        return self.flat[name].double().numpy()

    def connected(self, name, x, slow=1.0):
        weight = self(f"{name}.weight")
        return weight @ x * slow / np.sqrt(weight.shape[1]) + self(f"{name}.bias") * slow

    def mapped(self, z, c, layers):
        parts = [] if z is None else [unit(z)]
        if len(c):
            parts.append(unit(self.connected("mapping.embed", c)))
        x = np.concatenate(parts)
        for layer in range(layers):
            x = lrelu(self.connected(f"mapping.fc{layer}", x, 0.01)) * ROOT2
        return x


def summed(x, weight, convolve):
    """Each output channel: the sum of what `convolve` makes of each input channel and its kernel."""
    return np.stack(
        [sum(convolve(plane, kernel) for plane, kernel in zip(x, kernels, strict=True)) for kernels in weight]
    )


def spread(plane):
    """Zeros between all pixels."""
    wide = np.zeros((2 * len(plane), 2 * len(plane)))
    wide[::2, ::2] = plane
    return wide


def same(plane, kernel):
    """Correlation, as networks call convolution."""
    return convolve2d(plane, kernel[::-1, ::-1], mode="same")


def widened(plane, kernel):
    """Spread, convolve truly, filter: the first pixel of what is added at the borders is two before the picture's."""
    side = 2 * len(plane)
    return convolve2d(convolve2d(spread(plane), kernel), 4 * FILTER)[2 : 2 + side, 2 : 2 + side]


def narrowed(plane, kernel):
    """Filter, correlate, and keep what is centred between two pixels."""
    filtered = np.pad(convolve2d(plane, FILTER), 1)
    full = convolve2d(filtered, kernel[::-1, ::-1], mode="same")
    return full[3 : 3 + len(plane) : 2, 3 : 3 + len(plane) : 2]


def slow_w(G, z, c, *, psi=1.0, layers=2):
    """w of one latent, truncated towards the mean of all."""
    values = Values(G)
    mean = values("mapping.w_avg")
    return mean + psi * (values.mapped(z, c, layers) - mean)


def slow_picture(G, w, noise):
    """The picture of one w; `noise` has a field for each convolution."""
    values, fields, picture = Values(G), iter(noise), 0
    x = values("synthesis.b4.const")
    for side in WIDTHS:
        for layer in ("conv1",) if side == 4 else ("conv0", "conv1"):
            name = f"synthesis.b{side}.{layer}"
            style = values.connected(f"{name}.affine", w)
            weight = values(f"{name}.weight") * style[None, :, None, None]
            weight = weight / np.sqrt((weight**2).sum((1, 2, 3), keepdims=True) + 1e-8)
            y = summed(x, weight, widened if layer == "conv0" else same)
            y = y + next(fields) * values(f"{name}.noise_strength") + values(f"{name}.bias")[:, None, None]
            x = held(lrelu(y) * ROOT2, values.clamp)
        name = f"synthesis.b{side}.torgb"
        weight = values(f"{name}.weight")
        style = values.connected(f"{name}.affine", w) / np.sqrt(weight.shape[1])
        rgb = np.einsum("oi,ihw->ohw", weight[:, :, 0, 0] * style, x) + values(f"{name}.bias")[:, None, None]
        if side > 4:
            picture = np.stack([widened(plane, np.pad([[1.0]], 1)) for plane in picture])
        picture = picture + held(rgb, values.clamp)
    return picture


def slow_scores(D, pictures, conditions):
    """Scores of one group of pictures."""
    values, last = Values(D), []
    for x in pictures:
        side = SIZE
        x = held(lrelu(biased(values, f"b{side}.fromrgb", x, same)) * ROOT2, values.clamp)
        while side > 4:
            inner = held(lrelu(biased(values, f"b{side}.conv0", x, same)) * ROOT2, values.clamp)
            inner = lrelu(biased(values, f"b{side}.conv1", inner, narrowed)) * ROOT2
            weight = values(f"b{side}.skip.weight")
            shortcut = summed(x, weight / np.sqrt(weight[0].size), narrowed)
            x = (held(inner, values.clamp) + shortcut) / ROOT2
            side //= 2
        last.append(x)
    std = np.sqrt(np.var(last, axis=0) + 1e-8).mean()
    scores = []
    for x, c in zip(last, conditions, strict=True):
        x = held(
            lrelu(biased(values, "b4.conv", np.concatenate([x, np.full((1, 4, 4), std)]), same)) * ROOT2, values.clamp
        )
        x = values.connected("b4.out", lrelu(values.connected("b4.fc", x.ravel())) * ROOT2)
        scores.append((x * values.mapped(None, c, 8)).sum() / np.sqrt(len(x)) if len(c) else x[0])
    return np.array(scores)


def biased(values, name, x, convolve):
    weight = values(f"{name}.weight")
    return summed(x, weight / np.sqrt(weight[0].size), convolve) + values(f"{name}.bias")[:, None, None]


# Files


class Record:
    """What is pickled as a call of the official code, which is not there."""

    def __init__(self, state, class_name="Layer"):
        meta = {"type": "class", "version": 6, "module_src": "raise SystemExit('run')", "class_name": class_name}
        self.meta = {**meta, "state": state}

    def __reduce__(self):
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


def pickled(value):
    """As the official training writes it, with modules of its names while it is written."""
    module = ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("executed")

    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    sys.modules |= {"torch_utils": ModuleType("torch_utils"), module.__name__: module}
    try:
        return pickle.dumps(value)
    finally:
        del sys.modules["torch_utils"], sys.modules[module.__name__]


def layers_of(flat):
    """The record of a layer and all those in it."""
    state = {"training": False, "_parameters": {}, "_buffers": {}, "_modules": {}}
    inner = {}
    for name, value in flat.items():
        first, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(first, {})[rest] = value
        elif isinstance(value, torch.Tensor):
            learns = name in ("weight", "bias", "const", "noise_strength")
            state["_parameters" if learns else "_buffers"][name] = torch.nn.Parameter(value) if learns else value
        else:
            state[name] = value
    state["_modules"] = {name: layers_of(values) for name, values in inner.items()}
    return Record(state)


def official_file(folder, G, D=None, *, name="network-snapshot-000123.pkl", p=0.25):
    """A file of the official training."""
    path = folder / name
    parts = {"G": layers_of(G), "G_ema": layers_of(G), "augment_pipe": layers_of({"p": torch.tensor(p)})}
    parts |= {"training_set_kwargs": {"path": "/home/someone/steel.zip", "max_size": 99}}
    path.write_bytes(pickled(parts | ({} if D is None else {"D": layers_of(D)})))
    return path


def rosinality_file(folder, G, D, *, old=False, mean=True):
    """The same networks by the names of rosinality's code."""
    g = {"input.input": G["synthesis.b4.const"][None]}
    for name in ("weight", "bias"):
        for layer in (0, 1):
            g[f"style.{layer + 1}.{name}"] = G[f"mapping.fc{layer}.{name}"]
    place = {4: ("conv1",), 8: ("convs.0", "convs.1"), 16: ("convs.2", "convs.3"), 32: ("convs.4", "convs.5")}
    for block, (side, names) in enumerate(place.items()):
        rgb = f"to_rgbs.{block - 1}" if block else "to_rgb1"
        for there, here in zip((*names, rgb), ("conv0", "conv1", "torgb")[-len(names) - 1 :], strict=True):
            old_name = f"synthesis.b{side}.{here}"
            g[f"{there}.conv.weight"] = G[f"{old_name}.weight"][None]
            g |= {f"{there}.conv.modulation.{kind}": G[f"{old_name}.affine.{kind}"] for kind in ("weight", "bias")}
            if here == "torgb":
                g[f"{there}.bias"] = G[f"{old_name}.bias"][None, :, None, None]
            else:
                g[f"{there}.activate.bias"] = G[f"{old_name}.bias"]
                g[f"{there}.noise.weight"] = G[f"{old_name}.noise_strength"][None]
                g[f"noises.noise_{len(g)}"] = torch.zeros(1, 1, side, side)
    g["convs.0.conv.blur.kernel"] = torch.from_numpy(4 * FILTER).float()
    d = {}

    def put(weight, bias, there):
        d[f"{weight}.weight"] = D[f"{there}.weight"]
        if bias:
            d[f"{bias}.bias"] = D[f"{there}.bias"]

    put("convs.0.0", "convs.0.1", "b32.fromrgb")
    for block, side in enumerate((32, 16, 8), start=1):
        put(f"convs.{block}.conv1.0", f"convs.{block}.conv1.1", f"b{side}.conv0")
        put(f"convs.{block}.conv2.1", f"convs.{block}.conv2.2", f"b{side}.conv1")
        put(f"convs.{block}.skip.1", None, f"b{side}.skip")
    put("final_conv.0", "final_conv.1", "b4.conv")
    put("final_linear.0", "final_linear.0", "b4.fc")
    put("final_linear.1", "final_linear.1", "b4.out")
    path = folder / "002000.pt"
    args = argparse.Namespace(batch=8, distributed=False)
    weight = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adam([weight])
    weight.sum().backward()
    optimiser.step()
    value = {"g": g, "g_ema": g, "d": d, "g_optim": optimiser.state_dict(), "args": args, "ada_aug_p": 0.25}
    value |= {"latent_avg": G["mapping.w_avg"]} if mean else {}
    torch.save(value, path, _use_new_zipfile_serialization=not old)
    return path
