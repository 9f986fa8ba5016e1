"""A report for people to read, as Encapsulated PDF (DICOM PS3.3 section A.45.1)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage

from clara_ops.contract.labels import LabelTable
from clara_ops.imaging.objects.encapsulated import Document, encapsulate
from clara_ops.imaging.objects.measurements import Measurement
from clara_ops.imaging.objects.overlay import most_labelled_slice, overlay_slice
from clara_ops.imaging.objects.report_page import ReportContent, report_pdf
from clara_ops.imaging.objects.result_modules import UNKNOWN_DATE, ResultSeries, copy_source_modules
from clara_ops.imaging.objects.secondary_capture import grey_values, source_window
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.reading.planes import values
from clara_ops.imaging.uids import derived_uid

TITLE = "Imaging Measurement Report"
_IDENTIFICATION = {
    "Patient ID": "PatientID",
    "Birth date": "PatientBirthDate",
    "Sex": "PatientSex",
    "Accession number": "AccessionNumber",
    "Study": "StudyDescription",
    "Study date": "StudyDate",
    "Series": "SeriesDescription",
}


def build_report(
    measurements: Sequence[Measurement],
    labels: npt.NDArray[Any],
    table: LabelTable,
    source: SourceSeries,
    series: ResultSeries,
    segmentation: Dataset,
) -> Dataset:
    """Build the report: patient and study, a line for each label, a picture, algorithm and version.

    Args:
        measurements: of each label of the table, in its order.
        labels: (slices, rows, columns) on the grid of the source.
        table: what the labels mean, and who made them.
        source: the series that was segmented; gives the picture its grey values.
        series: that the object goes into; the object's own UID follows from its UID.
        segmentation: whose segments are measured.
    """
    shown = most_labelled_slice(labels)
    picture = overlay_slice(grey_values(source, shown), labels[shown], table.labels, window=source_window(source))
    content = ReportContent(
        title=TITLE,
        identification=tuple(_identification(source.header)),
        method=(
            ("Algorithm", f"{table.algorithm_name} {table.algorithm_version}"),
            ("Type", "automatic, not verified by a person"),
            ("Dated", "unknown" if series.content_date == UNKNOWN_DATE else _date(series.content_date)),
            ("Volume", "sum of the voxels"),
            ("Long axis", "largest diameter within one slice"),
            ("Diameter", "largest diameter in space"),
        ),
        measurements=measurements,
        picture=np.ascontiguousarray(picture),
        pixel_spacing=source.map.pixel_spacing,
        caption=f"Slice {shown + 1} of {len(source.map.slices)}, the one with most labels",
        notice=series.notice,
        moment=(series.content_date, series.content_time),
        character_sets=values(source.header.get("SpecificCharacterSet")),
    )
    document = Document(
        sop_class_uid=EncapsulatedPDFStorage,
        sop_instance_uid=derived_uid("report", series.uid),
        number=1,
        modality="DOC",
        mime_type="application/pdf",
        title=TITLE,
        concept=codes.DCM.ImagingMeasurementReport,
        content=report_pdf(content),
        identifies_patient=True,
    )
    result = encapsulate(document, source, series, segmentation)
    result.ConversionType = "WSD"
    copy_source_modules(result, source.header, spatial=False)
    return result


def _identification(header: Dataset) -> Iterator[tuple[str, str]]:
    yield "Patient", patient_name(header)
    for name, keyword in _IDENTIFICATION.items():
        text = ", ".join(values(header.get(keyword)))
        yield name, _date(text) if keyword.endswith("Date") else text or "-"


def patient_name(header: Dataset) -> str:
    """All component groups of Patient's Name (DICOM PS3.5 section 6.2.1): alphabetic (ideographic, phonetic)."""
    groups = [" ".join(filter(None, group.split("^"))) for group in str(header.get("PatientName") or "").split("=")]
    first, *others = groups
    more = ", ".join(filter(None, others))
    return (f"{first} ({more})" if first and more else first or more) or "-"


def _date(text: str) -> str:
    """A DA as ISO 8601 has it, the same in every language; anything else as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text or "-"
