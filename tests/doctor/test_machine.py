import pytest
import torch

from sorby.doctor import machine as doctor
from sorby.doctor.machine import GIB
from sorby.metrics.weights import WeightsFile


def test_every_finding_of_this_machine_is_one_line_and_nothing_is_broken(tmp_path):
    findings = list(doctor.examine(tmp_path))
    assert {"python", "torch", "devices", "cpu", "drawing", "threads", "inception", "disk"} <= {
        f.topic for f in findings
    }
    assert all("\n" not in finding.text for finding in findings)
    assert [finding for finding in findings if finding.status == "fail" and finding.topic != "disk"] == []


def test_an_old_python_and_an_old_torch_are_broken():
    assert doctor.of_python((3, 10, 4)).status == "fail"
    assert doctor.of_torch("2.5.1").status == "fail"
    assert doctor.of_torch("2.13.0+cu130").status == "ok"


def test_a_convolution_in_single_precision_is_right_to_a_millionth():
    assert doctor.convolution_error("cpu") < 1e-4


def test_a_device_that_computes_wrongly_is_broken():
    assert doctor.of_arithmetic("cuda:0", 3.0).status == "fail"
    assert doctor.of_arithmetic("cuda:0", float("nan")).status == "fail"


def test_augmentation_runs_on_the_processor():
    assert doctor.augmentation_problem("cpu") is None
    assert doctor.of_augmentation("cuda:0", None).status == "ok"


def test_a_device_without_the_gradient_of_resampling_is_told_what_to_set(monkeypatch):
    class Lacking(torch.autograd.Function):
        @staticmethod
        def forward(_, images, grid):
            return images.new_zeros(len(images), images.shape[1], *grid.shape[1:3])

        @staticmethod
        def backward(_, gradient):
            raise NotImplementedError("The operator 'aten::grid_sampler_2d_backward' is not implemented.\nA long story")

    monkeypatch.setattr(torch.nn.functional, "grid_sample", lambda images, grid, **_: Lacking.apply(images, grid))
    finding = doctor.of_augmentation("mps:0", doctor.augmentation_problem("cpu"))
    assert finding.status == "warn"
    assert "grid_sampler_2d_backward' is not implemented.): set PYTORCH_ENABLE_MPS_FALLBACK=1" in finding.text


def test_every_accelerator_is_asked_whether_augmentation_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "find_accelerators", lambda: ["cpu:0"])
    findings = [finding for finding in doctor.examine(tmp_path) if finding.topic == "cpu:0"]
    assert "a test augmentation runs" in {finding.text for finding in findings}


@pytest.mark.parametrize(
    ("bfloat16_seconds", "chosen", "other"),
    [
        (4.0, torch.float32, None),
        (0.5, torch.bfloat16, None),
        (4.0, torch.bfloat16, "float32"),
        (0.5, torch.float32, "bfloat16"),
    ],
)
def test_a_precision_that_is_not_the_faster_one_is_told(bfloat16_seconds, chosen, other):
    finding = doctor.of_precision(1.0, bfloat16_seconds, chosen=chosen)
    assert finding.status == ("warn" if other else "ok")
    assert (f"--precision {other}" in finding.text) == bool(other)
    assert f"{1 / bfloat16_seconds:.1f} times as fast" in finding.text


def test_what_draws_is_named_and_what_would_be_faster_where_it_is_not_there():
    float32, bfloat16 = torch.float32, torch.bfloat16
    assert doctor.of_drawing(float32, None, with_amx=False).text == "in float32 by PyTorch"
    assert doctor.of_drawing(bfloat16, None, with_amx=False).text == "in bfloat16 by PyTorch"
    assert doctor.of_drawing(bfloat16, "2026.4.1", with_amx=True).text == "in bfloat16 by OpenVINO 2026.4.1"
    assert "pip install 'sorby[openvino]'" in doctor.of_drawing(bfloat16, None, with_amx=True).text


def test_timing_a_convolution_gives_seconds():
    assert 0 < doctor.convolution_seconds(torch.float32, repeats=1) < 10


@pytest.mark.parametrize(
    ("threads", "cores", "load", "status"),
    [(2, 2, 0.1, "ok"), (4, 8, 0.1, "ok"), (1, 8, 0.1, "warn"), (8, 2, 0.1, "warn"), (2, 2, 2.0, "warn")],
)
def test_threads_are_fine_when_they_match_idle_cores(threads, cores, load, status):
    assert doctor.of_threads(threads, cores, load=load).status == status


def test_without_a_gpu_the_reason_for_slowness_is_given():
    assert "GPU" in doctor.of_devices([]).text


def test_missing_weights_are_a_warning_that_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("SORBY_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path))
    finding = doctor.of_weights("vgg16", WeightsFile(network="vgg16", names={"v.pth": ""}, how_to_get="get v.pth"))
    assert finding.status == "warn"
    assert "get v.pth" in finding.text


@pytest.mark.parametrize(("free", "status"), [(100 * GIB, "ok"), (2 * GIB, "warn"), (GIB // 10, "fail")])
def test_a_full_disk_is_broken_and_a_nearly_full_one_a_warning(free, status, tmp_path):
    assert doctor.of_disk(free, tmp_path).status == status
