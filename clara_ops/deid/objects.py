"""DICOM objects in files: which there are, what their patients' own words are, and one object from file to file."""

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage

from clara_ops.deid import pixels
from clara_ops.deid.burned_in import Layout, known_blackening, may_hold_text
from clara_ops.deid.engine import Treatment, deidentify
from clara_ops.deid.errors import BrokenObject, ConflictingObjects
from clara_ops.deid.leftovers import Leftover, LeftoverSearch, UncleanObject
from clara_ops.deid.marks import PREAMBLE, mark
from clara_ops.deid.own_words import TAGS, OwnWords, own_words
from clara_ops.deid.private_attributes import AllowList
from clara_ops.deid.profile import Option, Options
from clara_ops.deid.pseudonyms import Subject, UidMap, identity_of
from clara_ops.imaging.dicom_file import save_dicom
from clara_ops.imaging.reading.raw_header import unreadable

_DICOM_ROOT = "1.2.840.10008."
_VOICE = "1.2.840.10008.5.1.4.1.1.9.4."
_RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"


@dataclass(frozen=True)
class Job:
    """What holds for all objects of a run.

    Attributes:
        search: knows the own words of all patients.
        subjects: the patients met so far, by what tells them apart.
        written: where each written object came from.
    """

    options: Options
    uids: UidMap
    search: LeftoverSearch
    private: AllowList
    layouts: Sequence[Layout]
    subjects: dict[str, Subject] = field(default_factory=dict)
    written: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one object.

    Attributes:
        unclean: why the object as a whole is not clean; None when it is.
        pixels_cleaned: whether pixels were blackened.
    """

    written: bool
    leftovers: tuple[Leftover, ...] = ()
    unclean: UncleanObject | None = None
    pixels_cleaned: bool = False


def dicom_files(folder: Path) -> tuple[tuple[Path, ...], int]:
    """The DICOM files (PS3.10) below a folder, whatever their names, sorted; hidden ones and DICOMDIRs are left out.

    Returns:
        the files, and how many others there are.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path, folder)]
    found = tuple(path for path in files if _is_dicom(path))
    return found, len(files) - len(found)


def own_words_of(paths: Iterable[Path], *, with_uids: bool) -> OwnWords:
    """The own words of the patients of some DICOM files.

    Raises:
        BrokenObject: a file cannot be read.
    """
    words = OwnWords()
    for path in paths:
        with _quiet(), _named(path):
            words |= own_words(_read(path, stop_before_pixels=True, specific_tags=list(TAGS)), with_uids=with_uids)
    return words


def deidentify_file(path: Path, folder: Path, job: Job) -> Outcome:
    """De-identify one object, and write it as `<SOP Instance UID>.dcm`.

    Args:
        path: a DICOM file; its name says nothing in the output.
        folder: where to write.
        job: its patients, map of UIDs and list of written objects grow.

    Returns:
        what became of it: an object that cannot be cleaned at all is not written, one whose pixels may hold text is.

    Raises:
        BrokenObject: it cannot be read or written as a whole.
        ConflictingObjects: another object with its SOP Instance UID was written.
    """
    with _quiet(), _named(path):
        return _deidentify(_read(path), path, folder, job)


def _deidentify(dataset: Dataset, path: Path, folder: Path, job: Job) -> Outcome:
    sop_class = UID(str(dataset.SOPClassUID))
    uid = _new_uid(dataset, job)
    if (reason := _cannot_be_cleaned(dataset, sop_class)) is not None:
        return Outcome(written=False, unclean=UncleanObject(uid, sop_class.name, reason, written=False))
    if uid in job.written:
        _check_duplicate(path, job.written[uid])
        return Outcome(written=False)
    if pixels.holds_overlay_in_pixels(dataset):
        pixels.clear_unused_bits(dataset)
    problem, pixels_cleaned = _clean_pixels(dataset, job)
    identity = identity_of(dataset)
    subject = job.subjects.setdefault(identity, job.uids.pseudonyms.subject(identity))
    own = job.search.own
    deidentify(dataset, Treatment(job.options, job.uids, subject, own, job.private, str(sop_class)))
    leftovers = job.search.search(dataset)
    mark(dataset, _applied(job.options, dataset))
    _save(dataset, folder)
    job.written[uid] = path
    unclean = UncleanObject(uid, sop_class.name, problem, written=True) if problem else None
    return Outcome(True, leftovers, unclean, pixels_cleaned)


def _new_uid(dataset: Dataset, job: Job) -> str:
    original = str(dataset.SOPInstanceUID)
    return original if Option.RETAIN_UIDS in job.options else job.uids.replacement(original)


def _cannot_be_cleaned(dataset: Dataset, sop_class: UID) -> str | None:
    """Why an object has to stay behind as a whole; None when it need not."""
    if not sop_class.startswith(_DICOM_ROOT):
        return "de-identification of private SOP classes is not defined (PS3.15 section E.1.1)"
    if "EncapsulatedDocument" in dataset:
        return "the document inside cannot be cleaned"
    if "PixelDataProviderURL" in dataset:
        return "its pixels are elsewhere and cannot be cleaned"
    if sop_class.startswith(_VOICE) or sop_class == _RAW_DATA:
        return "a recorded voice, or raw data, cannot be cleaned"
    return None


def _clean_pixels(dataset: Dataset, job: Job) -> tuple[str | None, bool]:
    """What is wrong with the pixels, None when nothing is; and whether they were blackened."""
    if not may_hold_text(dataset):
        return None, False
    if Option.CLEAN_PIXEL_DATA not in job.options:
        return "pixels may hold burned-in text, and --clean-pixel-data is not given", False
    blackening = known_blackening(dataset, job.layouts)
    if blackening is None:
        return "pixels may hold burned-in text, and no known layout says where", False
    try:
        pixels.black_out(dataset, blackening)
    except unreadable():
        return "pixels may hold burned-in text, and cannot be decoded", False
    return None, True


def _applied(options: Options, dataset: Dataset) -> Options:
    """Pixels are called clean where they were blackened, or where the object says that no text is burned in."""
    return options if dataset.get("BurnedInAnnotation") == "NO" else options - {Option.CLEAN_PIXEL_DATA}


def _save(dataset: Dataset, folder: Path) -> None:
    transfer_syntax = dataset.file_meta.get("TransferSyntaxUID")
    if transfer_syntax is None:
        implicit, _ = dataset.original_encoding
        transfer_syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.preamble = PREAMBLE
    save_dicom(dataset, folder, transfer_syntax)


def _check_duplicate(path: Path, first: Path) -> None:
    if path.read_bytes() != first.read_bytes():
        raise ConflictingObjects(
            f"{first} and {path}: have one SOP Instance UID and different content; leave one of them out"
        )


def _read(path: Path, **options: Any) -> Dataset:
    dataset = pydicom.dcmread(path, **options)
    if not (dataset.get("SOPClassUID") and dataset.get("SOPInstanceUID")):
        raise ValueError("no SOP Class UID or SOP Instance UID")
    return dataset


def _is_dicom(path: Path) -> bool:
    """Whether a file says that it is DICOM, broken or not, and no DICOMDIR."""
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return False
    try:
        with _quiet():
            meta = pydicom.filereader.read_file_meta_info(path)
            return bool(meta.get("MediaStorageSOPClassUID") != MediaStorageDirectoryStorage)
    except unreadable():
        return True


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What pydicom raises on a damaged file names the file; its own words may hold values, and are not told."""
    try:
        yield
    except unreadable() as error:
        raise BrokenObject(
            f"{path}: is no whole DICOM object ({type(error).__name__}); send the instance again, or leave it out"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """pydicom warns, and logs its warnings, with the values that they are about."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
