"""Standardized uptake values by body weight (SUVbw) of PET, from activity concentration in Bq/ml.

The factor is body weight / dose at the time that the images are decay corrected to, as the QIBA FDG-PET/CT profile
computes it from the PET Isotope Module (DICOM PS3.3 section C.8.9.2).
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import DT

from clara_ops.imaging.errors import MissingUptake
from clara_ops.imaging.reading.frames import Frame
from clara_ops.imaging.reading.planes import values
from clara_ops.imaging.reading.raw_header import unreadable
from clara_ops.imaging.reading.stacks import Stack

_GRAMS = 1000.0
_DAY = timedelta(days=1)


def in_suv(stack: Stack) -> Stack:
    """The same stack, rescaled from Bq/ml to SUVbw, g/ml.

    Raises:
        MissingUptake: the headers do not say what is needed: units, corrections, weight, dose, half life, times.
    """
    first = stack.frames[0]
    header = pydicom.dcmread(first.path, stop_before_pixels=True, force=True)
    try:
        factor = _factor(header, stack.frames)
    except unreadable() as error:
        raise _missing(first, f"an attribute that cannot be read ({error})") from error
    frames = (replace(frame, slope=frame.slope * factor, intercept=frame.intercept * factor) for frame in stack.frames)
    return replace(stack, frames=tuple(frames))


def _factor(header: Dataset, frames: tuple[Frame, ...]) -> float:
    first = frames[0]
    if header.get("Units") != "BQML":
        raise _missing(first, f"Units {header.get('Units')!r} instead of BQML")
    absent = {"ATTN", "DECY"} - set(values(header.get("CorrectedImage")))
    if absent:
        raise _missing(first, f"no correction {' and '.join(sorted(absent))} in Corrected Image")
    isotopes = header.get("RadiopharmaceuticalInformationSequence")
    if not isotopes:
        raise _missing(first, "no Radiopharmaceutical Information Sequence")
    weight = _positive(header, "PatientWeight", first)
    dose = _positive(isotopes[0], "RadionuclideTotalDose", first)
    if header.get("DecayCorrection") == "ADMIN":
        return weight * _GRAMS / dose
    if header.get("DecayCorrection") != "START":
        raise _missing(first, f"Decay Correction {header.get('DecayCorrection')!r} instead of START or ADMIN")
    half_life = _positive(isotopes[0], "RadionuclideHalfLife", first)
    waited = _scan_start(header, frames) - _injection(header, isotopes[0], first)
    if waited < timedelta(0):
        waited += _DAY
    return float(weight * _GRAMS / (dose * 2 ** (-waited.total_seconds() / half_life)))


def _scan_start(header: Dataset, frames: tuple[Frame, ...]) -> datetime:
    """The time of the series, or of its earliest slice where the series was made later, by post-processing."""
    series = _moment(header.get("SeriesDate"), header.get("SeriesTime"), frames[0])
    date = header.get("AcquisitionDate") or header.get("SeriesDate")
    times = [time for frame in frames if (time := dict(frame.moments).get("AcquisitionTime"))]
    return min([series, *(_moment(date, time, frames[0]) for time in times)])


def _injection(header: Dataset, isotope: Dataset, first: Frame) -> datetime:
    started = isotope.get("RadiopharmaceuticalStartDateTime")
    if started:
        return DT(str(started)[:14]).replace(tzinfo=None)
    return _moment(header.get("SeriesDate"), isotope.get("RadiopharmaceuticalStartTime"), first)


def _moment(date: object, time: object, first: Frame) -> datetime:
    if not date or not time:
        raise _missing(first, "no date and time of series or injection")
    return DT(f"{date}{str(time)[:6]}").replace(tzinfo=None)


def _positive(dataset: Dataset, keyword: str, first: Frame) -> float:
    found = values(dataset.get(keyword))
    if not found or float(found[0]) <= 0:
        raise _missing(first, f"no {keyword}")
    return float(found[0])


def _missing(first: Frame, what: str) -> MissingUptake:
    return MissingUptake(f"{first}: SUV cannot be computed: it has {what}; read the series without --suv")
