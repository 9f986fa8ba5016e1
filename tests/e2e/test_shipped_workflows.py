"""Each shipped workflow, run by `clara-wf test` on its own sample in a clean checkout, with the real Triton.

Not organ-seg: the README's own commands run it, in `test_newcomer.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk

from clara_ops.contract import environment
from clara_ops.imaging.geometry import grid_of
from clara_ops.imaging.metaimage import write_volume
from clara_ops.laptop.setup import ROOT
from tests.e2e.triton import Triton, start_triton

pytestmark = pytest.mark.e2e

SAMPLES = ROOT / "dags" / "workflows" / "samples"
SERIES = ROOT / "tests" / "data" / "abdomen_b"
LIVER = 1

Labels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    started = start_triton(tmp_path_factory.mktemp("triton"))
    yield started
    started.process.terminate()
    assert started.process.wait(20) == 0


@pytest.fixture(scope="module")
def results(clone: Path, triton: Triton) -> Callable[..., Path]:
    """Run a workflow, once for a module and input; gives the folder of its results."""
    ended: dict[tuple[str, Path | None], Path] = {}

    def run(workflow: str, source: Path | None = None) -> Path:
        if (workflow, source) not in ended:
            job = f"{workflow}-on-{'its-sample' if source is None else 'another-input'}"
            words = [workflow, job, "--json", *(["--input", str(source)] if source else [])]
            ended[workflow, source] = run_here(clone, words, triton)
        return ended[workflow, source]

    return run


def run_here(clone: Path, words: list[str], triton: Triton) -> Path:
    addresses = {
        environment.TRITON_URI: f"http://{triton.addresses['http']}",
        environment.TRITON_GRPC: triton.addresses["grpc"],
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("clara-wf")), "test", *words],
        cwd=clone,
        env={**os.environ, **addresses},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    assert {stage["state"] for stage in outcome["stages"]} == {"done"}
    return Path(outcome["results"])


def volume(folder: Path) -> sitk.Image:
    (path,) = folder.glob("*.mhd")
    return sitk.ReadImage(str(path))


def objects(folder: Path) -> list[pydicom.Dataset]:
    found = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    assert found
    return found


def studies(folder: Path) -> set[str]:
    return {pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in folder.glob("*.dcm")}


def original() -> sitk.Image:
    return volume(SAMPLES / "volume")


def on_grid_of_original(image: sitk.Image, interpolator: int, outside: float) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = sitk.GetArrayFromImage(
        sitk.Resample(image, original(), sitk.Transform(), interpolator, outside)
    )
    return array


def liver_agreement(first: Labels, second: Labels) -> float:
    """Dice of the liver."""
    one, other = first == LIVER, second == LIVER
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def test_dicom_reader_only_gives_the_voxels_of_the_series(results: Callable[..., Path]) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(SERIES)))
    expected = reader.Execute()
    found = volume(results("dicom-reader-only"))
    assert np.array_equal(sitk.GetArrayViewFromImage(found), sitk.GetArrayViewFromImage(expected))
    assert found.GetOrigin() == pytest.approx(expected.GetOrigin(), abs=1e-3)


def test_dicom_reader_writer_gives_the_series_back_in_its_study(results: Callable[..., Path]) -> None:
    folder = results("dicom-reader-writer")
    assert studies(folder) == studies(SERIES)
    assert len(objects(folder)) == len(list(SERIES.glob("*.dcm")))


def test_liver_seg_gives_a_segmentation_in_the_study_that_warns(results: Callable[..., Path]) -> None:
    folder = results("liver-seg")
    assert studies(folder) == studies(SERIES)
    (segmentation,) = [one for one in objects(folder) if one.Modality == "SEG"]
    assert "liver" in {segment.SegmentLabel for segment in segmentation.SegmentSequence}
    assert segmentation.pixel_array.any()
    assert "not for diagnostic use" in segmentation.SegmentSequence[0].SegmentAlgorithmName
    assert all("NOT FOR DIAGNOSTIC USE" in one.SeriesDescription for one in objects(folder))


def test_ai_only_gives_labels_on_the_grid_of_the_volume(results: Callable[..., Path]) -> None:
    labels = volume(results("ai-only"))
    assert grid_of(labels) == grid_of(original())
    assert np.count_nonzero(sitk.GetArrayViewFromImage(labels) == LIVER) * 0.027 > 300


def test_recon_only_gives_the_ct_that_was_projected(results: Callable[..., Path]) -> None:
    """Mean error inside the body, of voxels 3 mm wide, its edge taken off by two of them."""
    found = on_grid_of_original(sitk.Cast(volume(results("recon-only")), sitk.sitkFloat32), sitk.sitkLinear, -1000)
    body = sitk.BinaryFillhole(sitk.Cast(original() > -400, sitk.sitkUInt8))
    inside = sitk.GetArrayFromImage(sitk.BinaryErode(body, [2, 2, 0])) > 0
    error = (found - sitk.GetArrayFromImage(original()))[inside]
    assert np.abs(error).mean() < 20
    assert abs(error.mean()) < 1


def test_recon_ai_finds_what_ai_only_finds_in_the_original(results: Callable[..., Path]) -> None:
    found = on_grid_of_original(volume(results("recon-ai")), sitk.sitkNearestNeighbor, 0)
    assert liver_agreement(found, sitk.GetArrayFromImage(volume(results("ai-only")))) > 0.9


def test_ct_ai_puts_what_it_found_in_the_sinogram_into_the_series_study(results: Callable[..., Path]) -> None:
    folder = results("ct-ai")
    source = SAMPLES / "series-and-sinogram"
    assert studies(folder) == studies(source)
    (segmentation,) = [one for one in objects(folder) if one.Modality == "SEG"]
    series = {pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID for path in source.glob("*.dcm")}
    assert {item.SeriesInstanceUID for item in segmentation.ReferencedSeriesSequence} == series
    assert segmentation.pixel_array.any()


def test_dicom_writer_only_makes_a_new_study_and_says_so(results: Callable[..., Path]) -> None:
    folder = results("dicom-writer-only")
    found = objects(folder)
    assert {one.Modality for one in found} == {"CT"}
    assert len(found) == original().GetSize()[2]
    assert not studies(folder) & studies(SAMPLES / "series-and-sinogram")
    assert "no DICOM input" in (folder / "result.json").read_text()


def test_dicom_writer_only_writes_into_the_study_of_the_series_beside(
    results: Callable[..., Path], tmp_path: Path
) -> None:
    source = tmp_path / "in"
    shutil.copytree(SAMPLES / "series-and-sinogram", source, ignore=shutil.ignore_patterns("*.npz"))
    series = pydicom.dcmread(next(source.glob("*.dcm")), stop_before_pixels=True)
    image = original()
    write_volume(source / f"{series.SeriesInstanceUID}.mhd", sitk.GetArrayFromImage(image), grid_of(image))
    assert studies(results("dicom-writer-only", source)) == {series.StudyInstanceUID}


def test_a_lesion_in_a_real_liver_is_found_through_triton(
    triton: Triton, results: Callable[..., Path], tmp_path: Path
) -> None:
    """A ball 20 mm wide and 60 HU darker, put where the network found liver all around."""
    clean, centre = volume(results("dicom-reader-only")), (4, 281, 142)
    voxels = sitk.GetArrayFromImage(clean)
    steps = (np.indices(voxels.shape).T - centre) * clean.GetSpacing()[::-1]
    lesion = np.linalg.norm(steps, axis=-1).T < 10
    voxels[lesion] -= 60
    (tmp_path / "in").mkdir()
    write_volume(tmp_path / "in" / "1.2.3.mhd", voxels, grid_of(clean))
    command = [sys.executable, "-m", "clara_ops.stages.command", "ai-livertumor"]
    subprocess.run(
        [*command, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, environment.TRITON_GRPC: triton.addresses["grpc"]},
        check=True,
        capture_output=True,
    )
    facts = json.loads((tmp_path / "out" / "result.json").read_text())["facts"]
    assert facts["lesions"] == 1
    voxel_ml = float(np.prod(clean.GetSpacing())) / 1000
    assert facts["lesions_ml"] == pytest.approx(np.count_nonzero(lesion) * voxel_ml, rel=0.2)
    assert sitk.GetArrayFromImage(volume(tmp_path / "out"))[centre] == 2
