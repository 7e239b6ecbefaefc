"""What this machine offers: devices, precision, weights, disk; what would be slow here, and why."""

import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F

from sorby.augment import Augment
from sorby.doctor.finding import Finding
from sorby.errors import WeightsError
from sorby.metrics.features import FEATURE_NETWORKS
from sorby.metrics.weights import WeightsFile, find_weights
from sorby.models.compiled import is_compiled, openvino_version
from sorby.models.place import fastest_dtype, has_amx, name_of

MIN_PYTHON, MIN_TORCH = (3, 11), (2, 6)
GIB = 1024**3


def examine(folder: Path) -> Iterator[Finding]:
    """Everything there is to say, one finding at a time; `folder` is where the disk is looked at."""
    yield of_python(sys.version_info[:3])
    yield of_torch(torch.__version__)
    accelerators = find_accelerators()
    yield of_devices(accelerators)
    if driver := nvidia_driver():
        yield of_nvidia(driver, torch.version.cuda, seen=torch.cuda.is_available())
    for device in accelerators:
        if device.startswith("cuda") and torch.version.hip is None:
            yield of_architecture(device, torch.cuda.get_device_capability(device), torch.cuda.get_arch_list())
            yield of_memory(device, *torch.cuda.mem_get_info(device))
    for device in ("cpu", *accelerators):
        yield of_arithmetic(device, convolution_error(device))
    for device in accelerators:
        yield of_augmentation(device, augmentation_problem(device))
    if not accelerators:
        seconds = [convolution_seconds(dtype) for dtype in (torch.float32, torch.bfloat16)]
        chosen = fastest_dtype("cpu")
        yield of_precision(*seconds, chosen=chosen)
        openvino = openvino_version() if is_compiled("cpu", chosen) else None
        yield of_drawing(chosen, openvino, with_amx=has_amx())
    yield of_threads(torch.get_num_threads(), usable_cores(), load=os.getloadavg()[0])
    for name, blueprint in FEATURE_NETWORKS.items():
        yield of_weights(name, blueprint.weights)
    yield of_disk(shutil.disk_usage(folder).free, folder)


def of_python(found: Sequence[int]) -> Finding:
    """Whether Python is new enough."""
    text = f"{'.'.join(map(str, found))} on {platform.system()} {platform.machine()}, Sorby {version('sorby')}"
    return Finding("python", "ok" if tuple(found) >= MIN_PYTHON else "fail", text)


def of_torch(found: str) -> Finding:
    """Whether torch is new enough."""
    if tuple(int(part) for part in found.split(".")[:2]) >= MIN_TORCH:
        return Finding("torch", "ok", found)
    return Finding("torch", "fail", f"{found}, expected at least {MIN_TORCH[0]}.{MIN_TORCH[1]}: run make install again")


def find_accelerators() -> list[str]:
    """Names of the devices other than the processor, such as `cuda:0` or `mps:0`."""
    if not torch.accelerator.is_available():
        return []
    kind = torch.accelerator.current_accelerator()
    return [f"{kind}:{index}" for index in range(torch.accelerator.device_count())]


def of_devices(accelerators: Sequence[str]) -> Finding:
    """What the networks can run on."""
    if accelerators:
        return Finding("devices", "ok", ", ".join(f"{device} ({_describe(device)})" for device in accelerators))
    text = "processor only: 32 and 64 px train in minutes to hours, 128 px over night; 256 px and more need a GPU"
    return Finding("devices", "warn", text)


def _describe(device: str) -> str:
    if not device.startswith("cuda"):
        return "no further details"
    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name}, {properties.total_memory / GIB:.0f} GiB"


def nvidia_driver(told: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Version of the driver of NVIDIA's GPUs; None where there is none, `unknown` where nothing but a GPU is known."""
    if told.is_file():
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", told.read_text())
        return found[0] if found else "unknown"
    return "unknown" if shutil.which("nvidia-smi") else None


def of_nvidia(driver: str, cuda: str | None, *, seen: bool) -> Finding:
    """Whether PyTorch reaches the GPU that a driver is there for; `cuda` is the version that torch was built with."""
    text = f"driver {driver}, and PyTorch"
    if seen:
        return Finding("nvidia", "ok", f"{text} for CUDA {cuda} reaches the GPU; nothing has to be compiled")
    if cuda is None:
        text = f"{text} is built for the processor alone: install the one for CUDA as pytorch.org says"
        return Finding("nvidia", "warn", f"{text}, with the version of constraints.txt")
    text = f"{text} for CUDA {cuda} finds no GPU: unset CUDA_VISIBLE_DEVICES if it hides them; else update the driver, "
    return Finding("nvidia", "warn", f"{text}or install PyTorch for an older CUDA as pytorch.org says")


def of_architecture(device: str, capability: tuple[int, int], built_for: Sequence[str]) -> Finding:
    """Whether this PyTorch has code for the GPU, such as sm_86: for one of its generation that is not newer, or PTX."""
    have = [(word.partition("_")[0], divmod(int(re.sub(r"\D", "", word.partition("_")[2])), 10)) for word in built_for]
    runs = any(found <= capability and (kind == "compute" or found[0] == capability[0]) for kind, found in have)
    name = f"sm_{capability[0]}{capability[1]}"
    if runs:
        return Finding(device, "ok", f"PyTorch has code for its architecture, {name}")
    text = f"PyTorch has no code for its architecture, {name} (it has {', '.join(built_for)}): "
    return Finding(device, "fail", f"{text}install a PyTorch that has, as pytorch.org says, or use --device cpu")


def of_memory(device: str, free_bytes: int, total_bytes: int) -> Finding:
    """Whether others have taken the memory of a GPU."""
    text = f"{free_bytes / GIB:.1f} of {total_bytes / GIB:.1f} GiB of memory are free"
    if free_bytes >= total_bytes / 2:
        return Finding(device, "ok", text)
    text = f"{text}: others use it, see nvidia-smi; choose another GPU by --device cuda:1, or less by --accumulate 4"
    return Finding(device, "warn", text)


def convolution_error(device: str) -> float:
    """Largest difference of a small convolution on `device` from the same in double precision on the processor."""
    rng = torch.Generator().manual_seed(0)
    images, weight = torch.randn(2, 8, 16, 16, generator=rng), torch.randn(8, 8, 3, 3, generator=rng)
    exact = F.conv2d(images.double(), weight.double())
    return float((F.conv2d(images.to(device), weight.to(device)).cpu().double() - exact).abs().max())


def of_arithmetic(device: str, error: float) -> Finding:
    """Whether a convolution comes out right; TF32 keeps three digits of values around 10."""
    if error < 0.1:
        return Finding(device, "ok", "a test convolution is right")
    return Finding(device, "fail", f"a test convolution is off by {error:.2g}: update the driver or torch")


def augmentation_problem(device: str) -> str | None:
    """What stops gradients of geometric augmentation on `device`; None where they flow."""
    images = torch.zeros(1, 1, 8, 8, device=device, requires_grad=True)
    try:
        Augment(families=("geom",))(images, p=1.0, rng=torch.Generator().manual_seed(0)).sum().backward()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def of_augmentation(device: str, problem: str | None) -> Finding:
    """Whether augmented pictures can be trained on; torch lacks an operator for it on Apple's GPUs."""
    if problem is None:
        return Finding(device, "ok", "a test augmentation runs")
    remedy = "set PYTORCH_ENABLE_MPS_FALLBACK=1" if device.startswith("mps") else "update the driver or torch"
    return Finding(
        device, "warn", f"geometric augmentation does not run ({problem}): {remedy}, or train with --augment blit"
    )


def convolution_seconds(dtype: torch.dtype, *, repeats: int = 8) -> float:
    """Best time of a convolution as in the 64 px networks, on the processor."""
    images = torch.randn(8, 32, 64, 64).to(dtype=dtype, memory_format=torch.channels_last)
    weight = torch.randn(32, 32, 3, 3).to(dtype=dtype, memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats):
            start = time.perf_counter()
            F.conv2d(images, weight, padding=1)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def of_precision(float32_seconds: float, bfloat16_seconds: float, *, chosen: torch.dtype) -> Finding:
    """Whether the precision that the presets take on this processor is the faster one."""
    ratio = float32_seconds / bfloat16_seconds
    other = torch.float32 if chosen == torch.bfloat16 else torch.bfloat16
    text = f"{name_of(chosen)}, which the presets train in here; bfloat16 is {ratio:.1f} times as fast as float32"
    if (ratio >= 1) == (chosen == torch.bfloat16):
        return Finding("precision", "ok", text)
    return Finding("precision", "warn", f"{text}: compare the img/s with --precision {name_of(other)}")


def of_drawing(dtype: torch.dtype, openvino: str | None, *, with_amx: bool) -> Finding:
    """What draws on this processor; `openvino` is the version that does, None where PyTorch does."""
    text = f"in {name_of(dtype)} by " + (f"OpenVINO {openvino}" if openvino else "PyTorch")
    if with_amx and not openvino:
        text += "; OpenVINO would be 1.1 to 1.5 times as fast: pip install 'sorby[openvino]'"
    return Finding("drawing", "ok", text)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def of_threads(threads: int, cores: int, *, load: float) -> Finding:
    """Whether torch uses the cores, and whether others do."""
    text = f"{threads} for {cores} core{'s' if cores > 1 else ''}"
    if load > cores / 2 and load >= 1:
        text += f", which are busy already (load {load:.1f}): two trainings at once run several times slower each"
        return Finding("threads", "warn", text)
    if threads > cores:
        return Finding("threads", "warn", f"{text}: set OMP_NUM_THREADS={cores}")
    if threads < cores / 2:  # torch takes one per physical core, which may be half of them
        return Finding("threads", "warn", f"{text}: unset OMP_NUM_THREADS, or train with --threads {cores}")
    return Finding("threads", "ok", text)


def of_weights(name: str, file: WeightsFile) -> Finding:
    """Whether the weights of a feature network are here, and are the right ones."""
    try:
        path, _ = find_weights(file)
        return Finding(name, "ok", str(path))
    except WeightsError as error:
        return Finding(name, "warn", str(error))


def of_disk(free_bytes: int, folder: Path) -> Finding:
    """Whether there is room for a dataset and a run."""
    text = f"{free_bytes / GIB:.1f} GiB free at {folder.resolve()}"
    if free_bytes >= 5 * GIB:
        return Finding("disk", "ok", text)
    return Finding("disk", "warn" if free_bytes >= GIB / 2 else "fail", f"{text}: a run takes up to a few GiB")
