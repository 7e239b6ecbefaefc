"""The ten commonest problems of users of other programs (docs/doctor.md), each made here and found."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sorby.conditions import ConditionSpace
from sorby.data.dataset import Patch, write_dataset
from sorby.doctor import Finding, examine, machine
from sorby.errors import ConfigError, DataError
from sorby.micrograph import write_micrograph
from sorby.training.run import train
from sorby.training.tick import tile
from tests.data.made import texture, textures, with_bar
from tests.training.conftest import disc_images, tiny_config, tiny_dataset  # noqa: F401


def found(path, topic, *, labels=None) -> Finding:
    """The finding of a topic, which has to be the only one."""
    (finding,) = [finding for finding in examine(path, labels=labels) if finding.topic == topic]
    return finding


def images(folder, num=12, *, um=0.1):
    """Sound micrographs with a pixel size."""
    folder.mkdir()
    for seed in range(num):
        write_micrograph(folder / f"t{seed:02d}.png", texture(seed), pixel_size_um=um, description={})
    return folder


def dataset(folder, rows, columns, num=120):
    """Discs of 12 micrographs, with the conditions of `rows` in turn."""
    space = ConditionSpace.from_rows(rows, columns)
    patches = [
        Patch(
            file=f"00000/{i:03d}.png",
            parent=f"p{i % 12}",
            pixel_size_um=0.5,
            split="held-out" if i % 12 == 11 else "train",
            conditions={name: rows[i % len(rows)][name] for name in space.names},
        )
        for i in range(num)
    ]
    pictures = zip(patches, disc_images(num), strict=True)
    return write_dataset(folder / "discs.zip", pictures, space=space, recipe={}).path


@pytest.fixture
def run(tmp_path, tiny_dataset):  # noqa: F811
    """One tick of a training."""
    return train(tiny_dataset, tmp_path / "run", tiny_config(kimg=0.016, score_ticks=0), tensorboard=False)


def test_sound_micrographs_datasets_and_runs_have_nothing_to_find(tmp_path, run):
    sound = dataset(tmp_path, [{"t": "800"}, {"t": "900"}], ["t"])
    for path in (images(tmp_path / "raw"), sound, run):
        assert {finding.status for finding in examine(path)} == {"ok"}, list(examine(path))


# ---- 1, 2: extensions that do not compile, versions that do not fit


def test_1_operations_that_elsewhere_are_compiled_are_tried_on_each_device(monkeypatch):
    def missing(*_, **__):
        raise RuntimeError("No module named 'upfirdn2d_plugin'\nninja: build stopped")

    monkeypatch.setattr(torch.nn.functional, "grid_sample", missing)
    finding = machine.of_augmentation("cuda:0", machine.augmentation_problem("cpu"))
    assert finding.status == "warn"
    assert "does not run (No module named 'upfirdn2d_plugin'): update the driver or torch" in finding.text


@pytest.mark.parametrize(
    ("cuda", "seen", "status", "says"),
    [
        (None, False, "warn", "built for the processor alone: install the one for CUDA"),
        ("13.0", False, "warn", "update the driver, or install PyTorch for an older CUDA"),
        ("13.0", True, "ok", "nothing has to be compiled"),
    ],
)
def test_2_a_gpu_that_this_pytorch_does_not_reach_is_told_with_the_way_out(cuda, seen, status, says):
    finding = machine.of_nvidia("470.57.02", cuda, seen=seen)
    assert finding.status == status
    assert says in finding.text


@pytest.mark.parametrize(
    ("capability", "built_for", "status"),
    [
        ((8, 6), ["sm_50", "sm_80", "sm_90"], "ok"),  # code of a generation runs on what came later in it
        ((9, 0), ["sm_90a"], "ok"),
        ((12, 0), ["sm_80", "compute_90"], "ok"),  # PTX is translated
        ((8, 6), ["sm_37", "sm_50", "sm_70"], "fail"),  # the RTX 30 of many an issue
        ((8, 0), ["sm_86"], "fail"),
        ((6, 1), ["sm_75", "sm_120", "compute_120"], "fail"),  # older than all
    ],
)
def test_2_a_gpu_that_this_pytorch_has_no_code_for_is_broken(capability, built_for, status):
    assert machine.of_architecture("cuda:0", capability, built_for).status == status


def test_2_the_driver_is_known_by_what_the_kernel_says_of_it(tmp_path, monkeypatch):
    told = tmp_path / "version"
    told.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue Jul 13 16:14:05 UTC 2021\n")
    assert machine.nvidia_driver(told) == "470.57.02"
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    assert machine.nvidia_driver(tmp_path / "none") is None
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert machine.nvidia_driver(tmp_path / "none") == "unknown"


# ---- 3: a resume that is none


def test_3_a_run_that_goes_on_with_everything_says_from_where_and_how(run):
    finding = found(run, "resume")
    assert finding.status == "ok"
    assert finding.text.startswith("goes on from 0.016 kimg by: ")


def test_3_a_run_without_its_checkpoint_would_start_anew(run):
    for path in (run / "checkpoint").iterdir():
        path.unlink()
    assert found(run, "resume") == Finding(
        "resume",
        "fail",
        "no checkpoint, so that the same command would start anew: copy the folder checkpoint/ too, "
        f"or go on from the weights alone by: sorby transfer {run} DATASET",
    )


def test_3_a_damaged_checkpoint_is_told_before_it_is_missed(run):
    whole = next((run / "checkpoint").iterdir())
    (run / "checkpoint" / "0000000032.safetensors").write_bytes(whole.read_bytes()[:1000])
    finding = found(run, "resume")
    assert finding.status == "warn"
    assert "the same command goes on from the one before, 0.016 kimg" in finding.text
    whole.unlink()
    assert found(run, "resume").status == "fail"


# ---- 4, 5: grey pictures, 16 bits


def test_4_grey_saved_as_rgb_is_grey_and_true_colours_are_not(tmp_path):
    raw = images(tmp_path / "raw")
    Image.fromarray(texture(20)).convert("RGB").save(raw / "wrapped.png")
    assert found(raw, "grey") == Finding(
        "grey", "ok", "1 of 13 (wrapped.png) are grey saved as RGB, with a palette or alpha: read as grey, exactly"
    )
    Image.merge("RGB", [Image.fromarray(texture(seed)) for seed in (21, 22, 23)]).save(raw / "false.png")
    finding = found(raw, "grey")
    assert finding.status == "warn"
    assert finding.text.startswith("1 of 14 (false.png) have colours")


def test_4_pictures_that_are_transparent_in_places_are_told(tmp_path):
    raw = images(tmp_path / "raw")
    alpha = np.full((160, 200), 255, np.uint8)
    alpha[:10] = 0
    Image.merge("LA", [Image.fromarray(texture(20)), Image.fromarray(alpha)]).save(raw / "through.png")
    assert found(raw, "grey").text.startswith("1 of 13 (through.png) are transparent in places")


def test_5_twelve_bits_in_a_file_of_sixteen_are_told_with_their_range(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for seed in range(12):
        grey = texture(seed).astype(np.uint16) * 16  # 254 * 16 = 4064
        write_micrograph(raw / f"t{seed:02d}.tif", grey, pixel_size_um=0.1, description={})
    finding = found(raw, "bits")
    assert finding.status == "warn"
    assert "(12 bits)" in finding.text
    assert finding.text.endswith("--grey-range 0:4095")


def test_5_pictures_that_another_program_has_clipped_are_told(tmp_path):
    raw = images(tmp_path / "raw")
    ramp = np.linspace(0, 65535, 160 * 200).astype(np.uint16).reshape(160, 200)
    Image.fromarray(np.minimum(ramp, 255).astype(np.uint8)).save(raw / "white.png")  # as Pillow turns it into 8 bits
    finding = found(raw, "clipping")
    assert finding.status == "warn"
    assert finding.text.startswith("1 of 13 (white.png) are more than 60% black or white")


# ---- 6, 7: conditions, label files


@pytest.mark.parametrize(
    ("rows", "columns", "says"),
    [
        ([{"t": "800"}, {"t": "800"}], ["t:C"], "t is 800 throughout"),
        ([{"t": "0.01"}, {"t": "100"}], ["t:1/s:linear"], "prepare again with --condition t:1/s:log"),
        ([{"t": "1", "u": "10"}, {"t": "2", "u": "21"}, {"t": "3", "u": "30"}], ["t", "u"], "t and u change together"),
    ],
)
def test_6_conditions_that_no_generator_could_learn_are_told(tmp_path, rows, columns, says):
    finding = found(dataset(tmp_path, rows, columns), "conditions")
    assert finding.status == "warn"
    assert says in finding.text


def test_6_a_class_of_a_few_pictures_is_told(tmp_path):
    rows = [{"phase": "pearlite"}] * 39 + [{"phase": "bainite"}]
    assert (
        "phase bainite has 3 patches, fewer than the 10" in found(dataset(tmp_path, rows, ["phase"]), "conditions").text
    )


def test_6_several_numbers_and_classes_are_fine(tmp_path):
    rows = [
        {"t": t, "u": u, "c": c} for t, u, c in (("1", "1", "a"), ("1", "2", "b"), ("2", "1", "b"), ("2", "2", "a"))
    ]
    finding = found(dataset(tmp_path, rows, ["t:C", "u", "c"]), "conditions")
    assert finding == Finding("conditions", "ok", "t from 1 to 2 C; u from 1 to 2; c one of a, b")


@pytest.mark.parametrize(
    ("table", "status", "says"),
    [
        ("image,t\nt00.png,1\n", "fail", "has no column `file` (it has image, t): add one"),
        ("file,t\nt00.tif,1\n", "fail", "names 1 files that are not among the images, such as t00.tif"),
        ("file,t\nt00.png,1\nt00.png,2\n", "fail", "has two rows for t00.png: leave one"),
        ("file,t\nt00.png,1\n", "warn", "1 of 2 (t01.png) have no row"),
        ("file,t\nt00.png,1\nt01.png,\n", "warn", "1 of 2 (t01.png) have nothing in the column 't'"),
        ("file\nt00.png\nt01.png\n", "warn", "has no column beside `file`"),
        ("file;t;route\nt00.png;1;a\nt01.png;2;a\n", "ok", "2 rows fit, with t (2 numbers), route (1 classes)"),
    ],
)
def test_7_a_table_that_does_not_fit_its_images_is_told_with_what_to_mend(tmp_path, table, status, says):
    raw, labels = images(tmp_path / "raw", 2), tmp_path / "labels.csv"
    labels.write_text(table)
    finding = found(raw, "labels", labels=labels)
    assert finding.status == status
    assert says in finding.text


def test_7_a_table_of_what_has_none_is_refused(tmp_path, run):
    with pytest.raises(ConfigError, match="run, has none; give the images that the table is about"):
        list(examine(run, labels=tmp_path / "labels.csv"))


# ---- 8, 9: small sets, collapse, augmentation


def test_8_few_micrographs_are_told_before_and_after_they_are_prepared(tmp_path):
    assert found(images(tmp_path / "raw", 10), "number").status == "warn"
    few = dataset(tmp_path, [{"t": "1"}, {"t": "2"}], ["t"], num=60)
    assert found(few, "number").text.startswith("55 training patches of 11 micrographs are few")


def test_8_a_run_whose_pictures_are_all_alike_has_collapsed(run):
    sheet = tile(np.repeat(disc_images(1)[:, None], 32, axis=0))
    write_micrograph(run / "samples" / "0000000016.png", sheet, pixel_size_um=0.5, description={})
    finding = found(run, "variety")
    assert finding.status == "warn"
    assert finding.text.startswith("collapsed: pictures differ 0% as much as real ones")


def test_9_an_augmentation_that_has_run_away_is_told(run):
    log = json.loads((run / "log.jsonl").read_text())
    (run / "log.jsonl").write_text(json.dumps(log | {"p": 0.93}) + "\n")
    finding = found(run, "augmentation")
    assert finding.status == "warn"
    assert finding.text.startswith("p is 0.93, and above 0.8 augmentations leak into the pictures")


# ---- 10: scale


def test_10_a_missing_pixel_size_is_told(tmp_path):
    finding = found(textures(tmp_path / "raw", 3), "scale")
    assert finding.status == "warn"
    assert finding.text.startswith("3 of 3 (t0.png ...) have no pixel size")


def test_10_mixed_magnifications_are_told_with_the_scale_that_suits_all(tmp_path):
    raw = images(tmp_path / "raw")
    write_micrograph(raw / "coarse.png", texture(30), pixel_size_um=0.4, description={})
    finding = found(raw, "scale")
    assert finding.status == "warn"
    assert finding.text.endswith("bring all to one with --um-per-px 0.4")


# ---- what else is seen on the way


def test_an_image_that_cannot_be_read_is_named_with_its_reason(tmp_path):
    raw = images(tmp_path / "raw", 2)
    (raw / "bad.png").write_bytes((raw / "t00.png").read_bytes()[:500])
    finding = found(raw, "files")
    assert finding.status == "fail"
    assert finding.text.startswith("1 of 3 cannot be read: bad.png is damaged or cut short")


def test_info_bars_in_some_images_alone_are_told(tmp_path):
    raw = images(tmp_path / "raw", 2)
    Image.fromarray(with_bar(texture(9))).save(raw / "barred.png")
    finding = found(raw, "info bar")
    assert finding.status == "warn"
    assert finding.text.startswith("found in 1 of 3 (barred.png) alone")


def test_a_gpu_whose_memory_others_have_is_told():
    assert machine.of_memory("cuda:0", 1 << 30, 24 << 30).status == "warn"
    assert machine.of_memory("cuda:0", 20 << 30, 24 << 30).status == "ok"


def test_what_is_nothing_of_these_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        list(examine(tmp_path / "none"))
