"""dciodvfy (dicom3tools) finds no error in a de-identified object that was not in the original."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage

from clara_ops.stages.command import main
from tests.deid.objects import ct_series, key_object, presentation_state, screen, structured_report, ultrasound_region
from tests.dicomgen.case import make_case
from tests.dicomgen.results import label_image
from tests.dicomgen.series import make_series, write_file

pytestmark = pytest.mark.e2e

ALL_OPTIONS = (
    "--retain-longitudinal-modified-dates",
    "--retain-device",
    "--retain-patient-characteristics",
    "--clean-descriptors",
    "--clean-pixel-data",
)


def errors(path: Path) -> set[str]:
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    return {line for line in found.splitlines() if line.startswith("Error")}


def ultrasound(tmp_path: Path) -> list[Dataset]:
    image = screen(UltrasoundMultiFrameImageStorage, photometric="RGB", frames=2)
    image.SequenceOfUltrasoundRegions = [ultrasound_region(5, 10, 49, 29)]
    return [image]


def results(tmp_path: Path) -> list[Dataset]:
    case = make_case(tmp_path / "case", make_series())
    return case.write(label_image(case.image), "--structure-set")


OBJECTS: dict[str, Callable[[Path], list[Dataset]]] = {
    "CT": lambda _: ct_series(1),
    "SR": lambda _: [structured_report(ct_series(2))],
    "KO": lambda _: [key_object(ct_series(2))],
    "PR": lambda _: [presentation_state(ct_series(2))],
    "US": ultrasound,
    "results of dicom-writer": results,
}


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
@pytest.mark.parametrize("words", [(), ALL_OPTIONS], ids=["basic profile", "all options"])
def test_no_new_errors(
    make: Callable[[Path], list[Dataset]], words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLARA_DEID_KEY", "a key that only the tests know")
    (folder := tmp_path / "in").mkdir()
    before: set[str] = set()
    for number, dataset in enumerate(make(tmp_path)):
        write_file(dataset, folder / f"{number}.dcm")
        before |= errors(folder / f"{number}.dcm")
    out = tmp_path / "out"
    assert main(["dicom-deid", "--input", str(folder), "--output", str(out), "--leftovers", "report", *words]) == 0
    written = list(out.glob("*.dcm"))
    assert len(written) == len(list(folder.iterdir()))
    assert {error for path in written for error in errors(path)} - before == set()
