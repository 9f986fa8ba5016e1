"""dicom-reader: which series are read, what is explained, and other formats."""

from pathlib import Path

import pytest
import SimpleITK as sitk

from clara_ops.contract.errors import NothingToDo, StageExit
from clara_ops.contract.evaluator import RuleError
from clara_ops.imaging.errors import MissingSlices, VolumeError
from tests.dicomgen.phantom import assert_is_the_body
from tests.dicomgen.series import Geometry, Identity, make_series, write_series
from tests.dicomgen.stage import read_volumes, run_reader

SAGITTAL = Geometry(row_direction=(0.0, 1.0, 0.0), column_direction=(0.0, 0.0, -1.0), step=(3.0, 0.0, 0.0), count=7)
OBLIQUE = Geometry(
    row_direction=(0.8, 0.36, -0.48), column_direction=(0.0, 0.8, 0.6), step=(0.6 * 3, -0.48 * 3, 0.64 * 3), count=4
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of four series: axial CT (.1, 5 slices), sagittal CT (.2, 7), oblique MR (.3, 4), scouts (.4)."""
    series = (
        (Geometry(), Identity(series_uid="1.2.1"), "Abdomen 2.5 Br40"),
        (SAGITTAL, Identity(series_uid="1.2.2"), "Spine sag"),
        (OBLIQUE, Identity(series_uid="1.2.3", modality="MR"), "T1 obl"),
        (Geometry(), Identity(series_uid="1.2.4"), "Topogram"),
    )
    for number, (geometry, identity, description) in enumerate(series, start=1):
        images = make_series(geometry, identity=identity)
        for image in images:
            image.SeriesDescription, image.SeriesNumber = description, number
            if description == "Topogram":
                image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        write_series(images, tmp_path / "study" / str(number))
    return tmp_path / "study"


RULES = {
    '{"attribute": "Modality", "op": "eq", "value": "CT"}': ["1.2.1", "1.2.2"],
    '{"attribute": "SeriesDescription", "op": "matches", "value": "br\\\\d+$"}': ["1.2.1"],
    '{"attribute": "slices", "op": "ge", "value": 5}': ["1.2.1", "1.2.2"],
    '{"attribute": "orientation", "op": "eq", "value": "sagittal"}': ["1.2.2"],
    '{"attribute": "orientation", "op": "eq", "value": "oblique"}': ["1.2.3"],
    '{"all": [{"attribute": "rows", "op": "le", "value": 10}, {"attribute": "slices", "op": "lt", "value": 5}]}': [
        "1.2.3"
    ],
    '{"not": {"attribute": "orientation", "op": "in", "value": ["axial", "oblique"]}}': ["1.2.2"],
}


@pytest.mark.parametrize(("rule", "selected"), RULES.items())
def test_rules_select_series(rule: str, selected: list[str], study: Path, tmp_path: Path) -> None:
    volumes = read_volumes(study, tmp_path / "out", "--select", rule)
    assert list(volumes) == selected
    for volume in volumes.values():
        assert_is_the_body(volume)


def test_the_series_with_most_slices_of_what_is_selected(study: Path, tmp_path: Path) -> None:
    assert list(read_volumes(study, tmp_path / "all", "--most-slices")) == ["1.2.2"]
    rule = '{"attribute": "orientation", "op": "ne", "value": "sagittal"}'
    assert list(read_volumes(study, tmp_path / "some", "--select", rule, "--most-slices")) == ["1.2.1"]


def test_every_decision_is_explained(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "notes.txt").write_text("no DICOM")
    run_reader(
        study, tmp_path / "out", "--explain", "--most-slices",
        "--select", '{"attribute": "Modality", "op": "eq", "value": "CT"}',
    )  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "set aside notes.txt: not a DICOM file",
        *[f"set aside 4/{n}.dcm: scout image (Image Type LOCALIZER)" for n in range(5)],
        "series 1.2.3: MR, 4 slices of 10 x 12, oblique: left out: Modality is 'MR', not eq 'CT'",
        "series 1.2.4: 5 files: scouts only",
        "series 1.2.1: CT, 5 slices of 10 x 12, axial: left out: series 1.2.2 of this study has 7 slices",
        "series 1.2.2: CT, 7 slices of 10 x 12, sagittal: read as 1.2.2.mhd (7 slices, voxels of 0.75 x 1.5 x 3 mm)",
    ]


def test_what_is_refused_is_explained_before_it_ends(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "2" / "3.dcm").unlink()
    with pytest.raises(MissingSlices):
        run_reader(study, tmp_path / "out", "--explain")
    lines = capsys.readouterr().out.splitlines()
    assert (
        "series 1.2.1: CT, 5 slices of 10 x 12, axial: read as 1.2.1.mhd (5 slices, voxels of 0.75 x 1.5 x 2.5 mm)"
        in lines
    )
    assert any(
        line.startswith("series 1.2.2: CT, 6 slices of 10 x 12, sagittal: refused: series 1.2.2:") for line in lines
    )


def test_a_series_that_would_be_refused_may_be_left_out(study: Path, tmp_path: Path) -> None:
    (study / "2" / "3.dcm").unlink()
    rule = '{"attribute": "orientation", "op": "eq", "value": "axial"}'
    assert list(read_volumes(study, tmp_path / "out", "--select", rule)) == ["1.2.1"]


def test_no_series_that_fits_is_nothing_to_do(study: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match=r"no series fits the rule: 1\.2\.1 left out: Modality is 'CT', not eq 'PT'"):
        run_reader(study, tmp_path / "out", "--select", '{"attribute": "Modality", "op": "eq", "value": "PT"}')


@pytest.mark.parametrize(
    "rule", ["{", '{"attribute": "Modality"}', '{"attribute": "a", "op": "like", "value": 1}', "[]"]
)
def test_a_rule_that_cannot_be_read_is_named(rule: str, study: Path, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="--select") as raised:
        run_reader(study, tmp_path / "out", "--select", rule)
    assert raised.value.exit_code == StageExit.BAD_INPUT


def test_volumes_are_written_in_other_formats_too(study: Path, tmp_path: Path) -> None:
    run_reader(study, tmp_path / "out", "--also", "nifti", "--also", "nrrd")
    for uid in ("1.2.1", "1.2.2", "1.2.3"):
        for suffix in (".mhd", ".nii.gz", ".nrrd"):
            image = sitk.ReadImage(str(tmp_path / "out" / f"{uid}{suffix}"))
            if suffix != ".nii.gz":
                assert_is_the_body(image)
            else:
                assert_is_the_body(image, tolerance=0.55)


def test_a_leaning_grid_is_not_written_as_nifti(tmp_path: Path) -> None:
    write_series(make_series(Geometry(column_direction=(0.0, 0.96, -0.28), step=(0.0, 0.0, 2.0))), tmp_path / "dicom")
    with pytest.raises(VolumeError, match=r"NIfTI has no place .* --tilt resample"):
        run_reader(tmp_path / "dicom", tmp_path / "out", "--also", "nifti")
    run_reader(tmp_path / "dicom", tmp_path / "nrrd", "--also", "nrrd")
    (volume,) = (tmp_path / "nrrd").glob("*.nrrd")
    assert_is_the_body(sitk.ReadImage(str(volume)))
