"""What a later generation of a run writes refers to what the generation before wrote in its place."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from clara_ops.contract.documents import read_document
from clara_ops.contract.written import OBJECTS, WrittenObject, WrittenObjects
from tests.dicomgen.case import Case, make_case, manifest, objects_in
from tests.dicomgen.dciodvfy import errors
from tests.dicomgen.results import label_image, write_labels
from tests.dicomgen.series import make_series
from tests.dicomgen.stage import run_writer

RUN = "ct-ai-0123456789abcdef0123-g"
KINDS = ("--structure-set", "--measurements", "--surfaces")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = make_case(tmp_path, make_series())
    write_labels(case.volume, tmp_path / "labels", label_image(case.image))
    return case


def generation(case: Case, number: int, before: tuple[WrittenObject, ...] = ()) -> tuple[WrittenObject, ...]:
    """Run dicom-writer; the objects that it notes."""
    output = case.folder / f"g{number}"
    run = manifest(case.folder, f"{RUN}{number}", before)
    run_writer(case.folder / "labels", case.dicom, output, *KINDS, manifest=run)
    return read_document(WrittenObjects, output / OBJECTS).objects


def written_by(case: Case, number: int, before: tuple[WrittenObject, ...] = ()) -> list[Dataset]:
    generation(case, number, before)
    return objects_in(case.folder / f"g{number}")


def predecessor_of(found: Dataset) -> str:
    """The SOP Instance UID that an object names as what it supersedes, in the attribute of its IOD."""
    if found.Modality in ("SR", "M3D"):
        (study,) = found.PredecessorDocumentsSequence
        assert study.StudyInstanceUID == found.StudyInstanceUID
        (series,) = study.ReferencedSeriesSequence
        (item,) = series.ReferencedSOPSequence
    elif found.Modality == "RTSTRUCT":
        (item,) = found.PredecessorStructureSetSequence
    else:
        (item,) = found.ReferencedInstanceSequence
        assert item.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Temporal Predecessor"
    assert item.ReferencedSOPClassUID == found.SOPClassUID
    return str(item.ReferencedSOPInstanceUID)


def test_every_object_that_is_written_is_noted(case: Case) -> None:
    noted = generation(case, 1)
    objects = objects_in(case.folder / "g1")
    assert {found.sop_instance_uid for found in noted} == {found.SOPInstanceUID for found in objects}
    assert {found.series_instance_uid for found in noted} == {found.SeriesInstanceUID for found in objects}
    assert len({found.lineage for found in noted}) == len(noted) == 10


def test_every_object_refers_to_the_one_before(case: Case) -> None:
    first = {(found.Modality, found.InstanceNumber): found for found in written_by(case, 1)}
    second = written_by(case, 2, read_document(WrittenObjects, case.folder / "g1" / OBJECTS).objects)
    assert len(second) == 10
    for found in second:
        before = first[found.Modality, found.InstanceNumber]
        assert before.SOPInstanceUID != found.SOPInstanceUID
        assert predecessor_of(found) == before.SOPInstanceUID
        assert found.StudyInstanceUID == before.StudyInstanceUID
    for found in first.values():
        assert not {"PredecessorDocumentsSequence", "ReferencedInstanceSequence"} & set(found.dir())


@pytest.mark.e2e
def test_dciodvfy_takes_the_references(case: Case) -> None:
    for found in written_by(case, 2, generation(case, 1)):
        assert errors(found.filename) == []


def test_another_volume_and_another_algorithm_have_no_predecessor(case: Case) -> None:
    before = generation(case, 1)
    labels = case.folder / "labels"
    for path in list(labels.iterdir()):
        path.rename(labels / path.name.replace(case.volume.stem, "other"))
    header = labels / "other.mhd"
    header.write_text(header.read_text().replace(case.volume.stem, "other"))
    for found in written_by(case, 2, before):
        assert "ReferencedInstanceSequence" not in found
        assert "PredecessorDocumentsSequence" not in found
