"""What a de-identified object says of itself (PS3.15 sections E.1.1 and E.3.6; codes of PS3.16 CID 7050)."""

from collections.abc import Iterable

from pydicom.dataset import Dataset

from clara_ops.deid.profile import Option, Options

METHOD = "PS3.15 2026d Basic Application Level Confidentiality Profile"
PREAMBLE = b"De-identified by clara-stage dicom-deid".ljust(128, b"\0")
_BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")
_OPTION_CODES = {
    Option.CLEAN_PIXEL_DATA: ("113101", "Clean Pixel Data Option"),
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_MODIFIED_DATES: ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE: ("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
}


def mark(dataset: Dataset, options: Options) -> None:
    """Write what was done into a dataset; what an earlier de-identification wrote there stays beside it.

    Args:
        options: those that were applied to this object.
    """
    dataset.PatientIdentityRemoved = "YES"
    earlier = dataset.get("DeidentificationMethod") or []
    methods = [earlier] if isinstance(earlier, str) else list(earlier)
    dataset.DeidentificationMethod = [*(method for method in methods if method != METHOD), METHOD]
    _add_codes(dataset, [_BASIC_PROFILE, *(_OPTION_CODES[option] for option in Option if option in options)])
    dates_moved = Option.RETAIN_MODIFIED_DATES in options
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if dates_moved else "REMOVED"


def _add_codes(dataset: Dataset, codes: Iterable[tuple[str, str]]) -> None:
    items = list(dataset.get("DeidentificationMethodCodeSequence") or ())
    known = {str(item.get("CodeValue")) for item in items}
    for value, meaning in codes:
        if value not in known:
            item = Dataset()
            item.CodeValue = value
            item.CodingSchemeDesignator = "DCM"
            item.CodeMeaning = meaning
            items.append(item)
    dataset.DeidentificationMethodCodeSequence = items
