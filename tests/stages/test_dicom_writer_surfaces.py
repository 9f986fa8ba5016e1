"""Encapsulated STL: a closed surface for each label, at the label's place in the source's frame of reference."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedSTLStorage

from tests.dicomgen.case import STACKS, Case, make_case
from tests.dicomgen.phantom import voxel_centres
from tests.dicomgen.results import label_at, label_image
from tests.dicomgen.series import Array, Geometry, make_series


def surfaces_of(case: Case, *arguments: str) -> list[Dataset]:
    *found, segmentation = case.write(label_image(case.image), "--no-overlay", "--surfaces", *arguments)
    assert segmentation.Modality == "SEG"
    assert {item.SOPClassUID for item in found} == {EncapsulatedSTLStorage}
    return found


def triangles_of(item: Dataset) -> tuple[Array, Array]:
    """Normals (triangles, 3) and corners (triangles, 3, 3) by the layout of binary STL."""
    content = item.EncapsulatedDocument[: item.EncapsulatedDocumentLength]
    count = int(np.frombuffer(content, "<u4", 1, 80)[0])
    assert len(content) == 84 + 50 * count
    numbers = np.frombuffer(content[84:], np.uint8).reshape(count, 50)[:, :48].copy().view("<f4").reshape(count, 4, 3)
    return numbers[:, 0].astype(float), numbers[:, 1:].astype(float)


def winding(points: Array, corners: Array) -> Array:
    """How often a surface goes round each point, by the solid angles of its triangles (van Oosterom and Strackee)."""
    a, b, c = (corners[np.newaxis, :, corner] - points[:, np.newaxis] for corner in range(3))
    la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
    triple = np.einsum("ijk,ijk->ij", a, np.cross(b, c))
    divisor = (
        la * lb * lc
        + np.einsum("ijk,ijk->ij", a, b) * lc
        + np.einsum("ijk,ijk->ij", b, c) * la
        + np.einsum("ijk,ijk->ij", c, a) * lb
    )
    turns: Array = np.arctan2(triple, divisor).sum(axis=1) / (2 * np.pi)
    return turns


@pytest.mark.parametrize("geometry", STACKS.values(), ids=STACKS)
def test_surfaces_hold_exactly_the_voxels_of_their_label(geometry: Geometry, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series(geometry))
    points = voxel_centres(case.image).reshape(-1, 3)
    for value, item in zip((3, 7), surfaces_of(case), strict=True):
        normals, corners = triangles_of(item)
        np.testing.assert_allclose(winding(points, corners), label_at(points) == value, atol=1e-4)
        drawn = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (np.einsum("ij,ij->i", drawn, normals) > 0).all()


def test_an_stl_object_says_what_it_models_and_where(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    liver, kidney = surfaces_of(case)
    assert [item.DocumentTitle for item in (liver, kidney)] == ["Liver", "Left kidney"]
    assert [item.InstanceNumber for item in (liver, kidney)] == [1, 2]
    for item in (liver, kidney):
        assert item.FrameOfReferenceUID == "1.2.826.0.1.1.9"
        assert item.MeasurementUnitsCodeSequence[0].CodeValue == "mm"
        assert item.ContentDescription == "LPS millimetres"
        assert item.EncapsulatedDocument.startswith(b"LPS millimetres")
        assert (item.Modality, item.MIMETypeOfEncapsulatedDocument) == ("M3D", "model/stl")
        assert item.ConceptNameCodeSequence[0].CodingSchemeDesignator == "LN"
        assert item.DerivationAlgorithmSequence[0].AlgorithmName == "phantom-net"
        assert len(item.SourceInstanceSequence) == 6
    assert liver.ModelGroupUID == kidney.ModelGroupUID
    assert liver.SeriesInstanceUID == kidney.SeriesInstanceUID


def test_detail_makes_another_series_of_smaller_models(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series(Geometry(rows=30, columns=60, pixel_spacing=(0.5, 0.25))))
    fine = surfaces_of(case)
    sizes = [item.EncapsulatedDocumentLength for item in fine]
    for path in (tmp_path / "results").iterdir():
        path.unlink()
    coarse = surfaces_of(case, "--surface-detail", "2")
    assert all(item.EncapsulatedDocumentLength < size / 3 for item, size in zip(coarse, sizes, strict=True))
    assert fine[0].SOPInstanceUID != coarse[0].SOPInstanceUID


@pytest.mark.parametrize("detail", ["-1", "nan", "51", "x"])
def test_a_detail_that_is_no_length_is_refused(detail: str, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    with pytest.raises(SystemExit):
        case.write(sitk.Image(case.image), "--surface-detail", detail)
