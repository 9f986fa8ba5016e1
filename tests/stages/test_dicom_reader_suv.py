"""dicom-reader --suv: uptake values against the formula, worked out by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from clara_ops.imaging.errors import MissingUptake
from tests.dicomgen.series import Identity, Storage, make_series, set_pixels, write_series
from tests.dicomgen.stage import read_volume, run_reader

PET = Identity(sop_class_uid=PositronEmissionTomographyImageStorage, modality="PT")
FDG_HALF_LIFE = 6586.2


def pet_series(change: Callable[[Dataset], object] | None = None) -> list[Dataset]:
    """5000 Bq/ml everywhere; 70 kg, 350 MBq of F-18 one half life before the scan."""
    images = make_series(storage=Storage(16, 16, signed=True, intercept=0), identity=PET)
    for image in images:
        set_pixels(image, np.full((10, 12), 5000.0), Storage(16, 16, slope=0.5, intercept=0))
        image.Units, image.DecayCorrection, image.CorrectedImage = "BQML", "START", ["NORM", "ATTN", "SCAT", "DECY"]
        image.SeriesDate, image.SeriesTime = "20240229", "120000"
        image.AcquisitionDate, image.AcquisitionTime = "20240229", "120000.00"
        image.PatientWeight = "70"
        isotope = Dataset()
        isotope.RadionuclideTotalDose, isotope.RadionuclideHalfLife = "350000000", str(FDG_HALF_LIFE)
        isotope.RadiopharmaceuticalStartDateTime = "20240229101013.80"
        image.RadiopharmaceuticalInformationSequence = [isotope]
        if change:
            change(image)
    return images


def suv(images: list[Dataset], tmp_path: Path) -> float:
    write_series(images, tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out", "--suv")
    assert volume.GetPixelID() == sitk.sitkFloat32
    (value,) = np.unique(sitk.GetArrayFromImage(volume))
    return float(value)


def test_after_one_half_life_the_value_is_twice_that_of_the_injected_dose(tmp_path: Path) -> None:
    assert suv(pet_series(), tmp_path) == pytest.approx(5000 * 70000 / 350e6 * 2, rel=2e-4)


def test_images_corrected_to_the_injection_do_not_decay(tmp_path: Path) -> None:
    def change(image: Dataset) -> None:
        image.DecayCorrection = "ADMIN"

    assert suv(pet_series(change), tmp_path) == pytest.approx(1.0, rel=1e-6)


def test_an_injection_before_midnight(tmp_path: Path) -> None:
    def change(image: Dataset) -> None:
        isotope = image.RadiopharmaceuticalInformationSequence[0]
        del isotope.RadiopharmaceuticalStartDateTime
        isotope.RadiopharmaceuticalStartTime = "233000"
        isotope.RadionuclideHalfLife = "3600"
        image.SeriesTime = image.AcquisitionTime = "003000"

    assert suv(pet_series(change), tmp_path) == pytest.approx(2.0, rel=1e-6)


def test_a_series_made_later_counts_from_its_earliest_slice(tmp_path: Path) -> None:
    def change(image: Dataset) -> None:
        image.SeriesTime = "180000"
        image.AcquisitionTime = f"12000{image.InstanceNumber - 1}"

    assert suv(pet_series(change), tmp_path) == pytest.approx(2.0, rel=2e-4)


MISSING: dict[str, Callable[[Dataset], object]] = {
    "PatientWeight": lambda image: delattr(image, "PatientWeight"),
    "RadionuclideTotalDose": lambda image: setattr(
        image.RadiopharmaceuticalInformationSequence[0], "RadionuclideTotalDose", "0"
    ),
    "Units 'CNTS'": lambda image: setattr(image, "Units", "CNTS"),
    "no correction ATTN": lambda image: setattr(image, "CorrectedImage", ["DECY"]),
    "Decay Correction 'NONE'": lambda image: setattr(image, "DecayCorrection", "NONE"),
    "no date and time": lambda image: delattr(image, "SeriesTime"),
    "Radiopharmaceutical Information": lambda image: delattr(image, "RadiopharmaceuticalInformationSequence"),
}


@pytest.mark.parametrize(("message", "change"), MISSING.items())
def test_what_is_missing_is_named(message: str, change: Callable[[Dataset], object], tmp_path: Path) -> None:
    write_series(pet_series(change), tmp_path / "dicom")
    with pytest.raises(MissingUptake, match=message):
        run_reader(tmp_path / "dicom", tmp_path / "out", "--suv")


def test_ct_beside_pet_stays_in_hu(tmp_path: Path) -> None:
    write_series(make_series(), tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out", "--suv")
    assert volume.GetPixelID() == sitk.sitkInt16
