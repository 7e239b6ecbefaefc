"""What is not real does not slip in, and who, where and which does not slip out."""

import csv
import io
import zipfile

import pytest
import tifffile
from PIL import Image

from sorby.data.dataset import Dataset
from sorby.data.pack import pack
from sorby.data.prepare import prepare, review_path
from sorby.data.recipe import make_recipe
from sorby.errors import DataError
from sorby.inspect import summarise
from sorby.interop.stylegan_zip import write_stylegan_zip
from sorby.micrograph import decode_micrograph, read_micrograph, write_micrograph
from sorby.sources import find_images

from .made import save, texture, textures

DRAWN = {"synthetic": "true", "generator": "abc123", "seed": "7"}
SECRETS = (
    "Janeway",
    "Roebuck",
    "alloy-X",
    "53.588",
    "9925949",
    "SN-64011",
    "Jul 2016",
    "12/14/2016",
    "2016/07/11",
    "11/07/2016",
    "C:/jane",
    "hush-hush",
)


def made(folder, out, **changes):
    return prepare([folder], out, recipe=make_recipe(**{"size": 32, **changes}), workers=2)


# ---- what is not real


def test_generated_pictures_are_rejected_by_name_unless_they_are_asked_for(tmp_path):
    raw = textures(tmp_path / "raw", 2)
    write_micrograph(raw / "drawn.tif", texture(5), pixel_size_um=None, description=DRAWN)
    data = made(raw, tmp_path / "a.zip")
    assert data.parents == ("t0.png", "t1.png")
    (row,) = csv.DictReader(io.StringIO(data.archive.read("rejected.csv").decode()))
    assert (row["file"], row["reason"], row["measured"]) == ("drawn.tif", "generated picture", "drawn by abc123")
    assert data.origin == ""

    let_in = made(raw, tmp_path / "b.zip", synthetic=True)
    assert "drawn.tif" in let_in.parents
    assert let_in.origin == "1 of 3 images are generated"
    assert summarise(tmp_path / "b.zip").facts["origin"] == let_in.origin


def test_with_nothing_else_the_way_to_let_them_in_is_told(tmp_path):
    write_micrograph(tmp_path / "raw" / "drawn.tif", texture(5), pixel_size_um=None, description=DRAWN)
    with pytest.raises(DataError, match=r"generated picture, such as drawn\.tif .*give --synthetic"):
        made(tmp_path / "raw", tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_marked_picture_is_never_learnt_from(tmp_path):
    about = DRAWN | {"mark": "SYNTHETIC is drawn into the lower left corner"}
    write_micrograph(tmp_path / "raw" / "drawn.tif", texture(5), pixel_size_um=None, description=about)
    with pytest.raises(DataError, match="draw them again without --mark"):
        made(tmp_path / "raw", tmp_path / "a.zip", synthetic=True)


def test_patches_of_what_is_not_real_say_so_and_the_dataset_does_in_every_form(tmp_path):
    raw = textures(tmp_path / "raw", 2)
    write_micrograph(raw / "drawn.tif", texture(5), pixel_size_um=None, description=DRAWN)
    write_micrograph(raw / "made.tif", texture(6), pixel_size_um=None, description={"simulated": "true"})
    data = made(raw, tmp_path / "a.zip", synthetic=True)
    assert data.origin == "1 of 4 images are generated, 1 of 4 images are simulated"
    for patch in data.patches:
        notes = decode_micrograph(data.archive.read(patch.file), name=patch.file).notes
        assert ("synthetic" in notes, "simulated" in notes) == (
            patch.parent == "drawn.tif",
            patch.parent == "made.tif",
        )
        if patch.parent == "drawn.tif":
            assert (notes["generator"], notes["seed"]) == ("abc123", "7")
    assert pack(data, tmp_path / "b.shards").origin == data.origin
    write_stylegan_zip(data, tmp_path / "c.zip")
    assert Dataset.open(tmp_path / "c.zip").origin == data.origin


# ---- who, where and which


def zeiss(path, grey, *, more=()):
    entries = [
        *("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 100.0 nm", "DP_SEM", "Sem = Sigma 300"),
        *(
            "SV_USER_NAME",
            "User Name = Janeway",
            "SV_OPERATOR",
            "Operator = Roebuck",
            "SV_SAMPLE_ID",
            "Sample ID = alloy-X",
        ),
        *("AP_STAGE_AT_X", "Stage at X = 53.588 mm", "SV_SERIAL_NUMBER", "Serial No. = SN-64011"),
        *("AP_DATE", "Date :11 Jul 2016", "SV_FILE_NAME", "File Name = C:/jane/NPG.tif"),
        *("SV_USER_TEXT", "User Text = hush-hush"),
        *more,
    ]
    text = "\r\n".join(["0", "0", "0", "1e-07", "1000.0", "6", *entries, ""])
    tags = [
        (34118, 2, 0, text.encode("cp1252"), True),
        (315, 2, 0, b"Janeway Roebuck", True),  # Artist
        (316, 2, 0, b"jane-pc", True),  # HostComputer
    ]
    tifffile.imwrite(path, grey, metadata=None, datetime="2016:07:11 15:54:11", extratags=tags)


def fei(path, grey):
    text = (
        "[User]\r\nDate=12/14/2016\r\nUser=Janeway\r\nUserText=alloy-X hush-hush\r\n[System]\r\nSystemType=Quanta\r\n"
        "Dnumber=9925949\r\n[Beam]\r\nHV=15000\r\n[Scan]\r\nPixelWidth=1e-7\r\n[Stage]\r\nStageX=53.588\r\n"
    )
    tifffile.imwrite(path, grey, metadata=None, extratags=[(34682, 2, 0, text.encode(), True)])


def hitachi(path, grey):
    Image.fromarray(grey).save(path)
    path.with_suffix(".txt").write_text(
        "[SemImageFile]\nInstructName=SU5000\nSampleName=alloy-X\nUserName=Janeway\nDate=11/07/2016\nPixelSize=100\n"
        "SerialNumber=SN-64011\nStagePositionX=53.588\nImageName=C:/jane/a.tif\n"
    )


def jeol(path, grey):
    Image.fromarray(grey).save(path)
    path.with_suffix(".txt").write_text(
        "$CM_INSTRUMENT JSM\n$CM_TITLE alloy-X\n$CM_OPERATOR Janeway\n$CM_DATE 2016/07/11\n$CM_STAGE_POS 53.588 1 2\n"
        "$CM_COMMENT hush-hush\n$$SM_MICRON_BAR 10\n$$SM_MICRON_MARKER 1um\n"
    )


def foreign_words(path, grey):
    """As a program might write them that takes Sorby's form for its own."""
    write_micrograph(path, grey, pixel_size_um=0.1, description={"operator": "Janeway Roebuck", "sample": "alloy-X"})


VENDORS = {"zeiss": zeiss, "fei": fei, "hitachi": hitachi, "jeol": jeol, "own": foreign_words}


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    for number, (name, write) in enumerate(VENDORS.items()):
        write(tmp_path / "raw" / f"{name}.tif", texture(number))
    return tmp_path / "raw"


def everything(path):
    """All bytes that a dataset and its review sheet hold."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()} | {"review": review_path(path).read_bytes()}


def test_no_user_sample_stage_date_or_serial_number_of_any_vendor_reaches_a_dataset(raw, tmp_path):
    data = made(raw, tmp_path / "a.zip")
    assert len(data.parents) == len(VENDORS)
    for name, content in everything(tmp_path / "a.zip").items():
        found = [secret for secret in SECRETS if secret.encode() in content]
        assert not found, name


def test_they_are_kept_in_one_table_where_that_is_asked_for(raw, tmp_path):
    made(raw, tmp_path / "a.zip", keep_names=True)
    content = everything(tmp_path / "a.zip")
    rows = {row["parent"]: row["notes"] for row in csv.DictReader(io.StringIO(content["parents.csv"].decode()))}
    assert "user=Janeway; operator=Roebuck; sample=alloy-X; comment=hush-hush" in rows["zeiss.tif"]
    assert "stage=53.588" in rows["zeiss.tif"]
    assert (
        "user=Janeway; comment=alloy-X hush-hush; serial_number=9925949; date=12/14/2016; stage=53.588"
        in rows["fei.tif"]
    )
    assert "user=Janeway; sample=alloy-X; serial_number=SN-64011; file_name=C:/jane/a.tif" in rows["hitachi.tif"]
    assert "operator=Janeway; sample=alloy-X; comment=hush-hush" in rows["jeol.tif"]
    assert "operator=Janeway Roebuck" in rows["own.tif"]
    for name in content.keys() - {"parents.csv"}:
        assert not [secret for secret in SECRETS if secret.encode() in content[name]], name


def test_inspect_shows_what_a_file_would_tell_of_its_owner(raw):
    facts = summarise(raw / "zeiss.tif").facts
    assert "user Janeway; operator Roebuck; sample alloy-X" in facts["names in the file"]
    assert "names in the file" not in summarise(raw / "own.tif").facts


def test_a_name_of_a_megabyte_is_cut(tmp_path):
    Image.fromarray(texture(0)).save(tmp_path / "a.bmp")
    (tmp_path / "a.txt").write_text("[SemImageFile]\nUserName=" + "J" * 2**19 + "\n")
    assert len(read_micrograph(tmp_path / "a.bmp").identity["user"]) == 200


def test_no_folder_above_what_was_named_reaches_a_dataset(tmp_path):
    home = tmp_path / "home-of-jane"
    for folder in ("a", "b"):
        save(home / folder, same=texture(ord(folder)), **{f"only-{folder}": texture(2 * ord(folder))})
    save(home / "else", ref=texture(1))
    recipe = make_recipe(size=32, match=True, reference=str(home / "else" / "ref.png"))
    data = prepare([home / "a", home / "b"], tmp_path / "a.zip", recipe=recipe, workers=1)
    assert set(data.parents) == {"a/same.png", "b/same.png", "only-a.png", "only-b.png"}
    assert data.recipe["reference"] == "ref.png"
    for content in everything(tmp_path / "a.zip").values():
        assert b"home-of-jane" not in content


def test_files_of_one_name_keep_names_of_their_own_whatever_else_there_is(tmp_path, monkeypatch):
    for folder in ("a", "b", "c/a"):
        save(tmp_path / folder, s=texture(1))
    monkeypatch.chdir(tmp_path)
    absolute = [file.name for file in find_images([tmp_path / folder for folder in ("a", "b", "c/a")])]
    assert absolute == ["a/s.png", "b/s.png", "c/a/s.png"]
    assert [file.name for file in find_images(["a", tmp_path / "b"])] == ["a/s.png", "s.png"]
    # The short name of one would be that of another.
    clash = [file.name for file in find_images([tmp_path / "a", tmp_path / "b", tmp_path / "c"])]
    assert len(set(clash)) == 3
