"""A NIfTI volume in HU as an axial CT series: how sample data becomes something that a PACS takes."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat

from clara_ops.imaging.dicom_file import save_dicom
from clara_ops.imaging.errors import VolumeError
from clara_ops.imaging.geometry import Grid, grid_of
from clara_ops.imaging.uids import derived_uid

_INT16 = np.iinfo(np.int16)


def ct_series_from_nifti(
    nifti: Path,
    folder: Path,
    *,
    patient_name: str = "Sample^Abdomen^A",
    patient_id: str = "SAMPLE-A",
    study_uid: str | None = None,
    study_date: str = "20220101",
    study_time: str = "120000",
    study_description: str = "CT abdomen",
    body_part: str = "ABDOMEN",
) -> str:
    """Write one CT Image object per axial slice, `<SOPInstanceUID>.dcm`, explicit VR little endian.

    The volume is brought into LPS axis order first, without interpolation. The same file gives the same bytes again.

    Args:
        nifti: 3D, HU, at most an axis permutation and flips away from axial.
        folder: made if needed.
        patient_name: of the made-up patient; `patient_id` likewise.
        study_uid: by default made from the file's content.
        study_date: DA, and `study_time` TM.
        study_description: Study and Series Description.
        body_part: Body Part Examined, a Defined Term of DICOM PS3.16 annex L.

    Returns:
        The Series Instance UID.

    Raises:
        VolumeError: the file is not a 3D NIfTI volume, is oblique, or holds values beyond 16 bits.
    """
    image = _axial(nifti)
    grid = grid_of(image)
    voxels = _int16(sitk.GetArrayViewFromImage(image), nifti)
    digest = hashlib.sha256(nifti.read_bytes()).hexdigest()
    study_uid = study_uid or derived_uid("study", digest)
    series_uid = derived_uid("series", study_uid, digest)
    folder.mkdir(parents=True, exist_ok=True)
    common = _common_modules(grid)
    common.PatientName, common.PatientID = patient_name, patient_id
    common.StudyInstanceUID, common.SeriesInstanceUID = study_uid, series_uid
    common.FrameOfReferenceUID = derived_uid("frame of reference", digest)
    common.StudyDate = common.SeriesDate = common.AcquisitionDate = common.ContentDate = study_date
    common.StudyTime = common.SeriesTime = common.AcquisitionTime = common.ContentTime = study_time
    common.BodyPartExamined = body_part
    common.StudyDescription = common.SeriesDescription = study_description
    for index, slice_voxels in enumerate(voxels):
        common.SOPInstanceUID = derived_uid("instance", series_uid, str(index))
        common.InstanceNumber = index + 1
        position = grid.affine() @ (0, 0, index, 1)
        common.ImagePositionPatient = [DSfloat(value, auto_format=True) for value in position[:3]]
        common.PixelData = np.ascontiguousarray(slice_voxels, "<i2").tobytes()
        save_dicom(common, folder)
    return series_uid


def _axial(nifti: Path) -> sitk.Image:
    try:
        image = sitk.ReadImage(str(nifti))
    except RuntimeError as error:
        raise VolumeError(f"{nifti}: cannot be read as a NIfTI volume") from error
    if image.GetDimension() != 3:
        raise VolumeError(f"{nifti}: has {image.GetDimension()} dimensions; a CT series is made from three")
    axial = sitk.DICOMOrient(image, "LPS")
    if not np.allclose(axial.GetDirection(), np.eye(3).ravel(), atol=1e-4):
        raise VolumeError(f"{nifti}: is oblique; resample it to axial slices first")
    return axial


def _int16(voxels: npt.NDArray[Any], nifti: Path) -> npt.NDArray[np.int16]:
    rounded: npt.NDArray[Any] = np.rint(voxels)
    if rounded.min() < _INT16.min or rounded.max() > _INT16.max:
        raise VolumeError(f"{nifti}: values from {rounded.min()} to {rounded.max()} do not fit 16 bits; is it in HU?")
    narrow: npt.NDArray[np.int16] = rounded.astype(np.int16)
    return narrow


def _common_modules(grid: Grid) -> Dataset:
    """What all slices share: DICOM PS3.3 section A.3, CT Image IOD, every attribute of type 1 and 2."""
    columns, rows, _ = grid.size
    common = Dataset()
    common.SpecificCharacterSet = "ISO_IR 192"
    common.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    common.SOPClassUID = CTImageStorage
    common.Modality = "CT"
    common.Manufacturer = "clara-workflows"
    common.AccessionNumber = common.ReferringPhysicianName = common.PositionReferenceIndicator = ""
    common.PatientBirthDate = common.KVP = common.AcquisitionNumber = ""
    common.PatientSex = "O"
    common.PatientPosition = "HFS"
    common.StudyID, common.SeriesNumber = "1", 1
    common.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    common.PixelSpacing = [DSfloat(grid.spacing[1], auto_format=True), DSfloat(grid.spacing[0], auto_format=True)]
    common.SliceThickness = DSfloat(grid.spacing[2], auto_format=True)
    common.SamplesPerPixel, common.PhotometricInterpretation = 1, "MONOCHROME2"
    common.Rows, common.Columns = rows, columns
    common.BitsAllocated, common.BitsStored, common.HighBit, common.PixelRepresentation = 16, 16, 15, 1
    common.RescaleSlope, common.RescaleIntercept, common.RescaleType = 1, 0, "HU"
    common.WindowCenter, common.WindowWidth = 40, 400
    common.add_new("PixelData", "OW", b"")
    return common
