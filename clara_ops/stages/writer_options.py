"""What dicom-writer can be asked for: its options, and what they mean."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from clara_ops.imaging.objects.label_objects import Wanted
from clara_ops.imaging.objects.segmentation import SegmentationForm, SegmentationType
from clara_ops.imaging.objects.series_policy import NOTICE, PLACES, SeriesPolicy, checked_description, checked_number

_COARSEST_DETAIL = 50


def add_arguments(parser: ArgumentParser) -> None:
    """The options that a workflow's `args` may give."""
    parser.add_argument(
        "--segmentation",
        choices=[kind.lower() for kind in SegmentationType],
        default=SegmentationType.BINARY.lower(),
        help="encoding of label volumes as DICOM Segmentation (%(default)s)",
    )
    parser.add_argument(
        "--keep-empty-frames", action="store_true", help="write frames of a segmentation in which no voxel is set, too"
    )
    parser.add_argument(
        "--no-overlay", action="store_true", help="write no pictures with the labels in colour beside a segmentation"
    )
    parser.add_argument("--structure-set", action="store_true", help="also write an RT Structure Set of the labels")
    parser.add_argument(
        "--measurements", action="store_true", help="also write a Structured Report with volumes and diameters"
    )
    parser.add_argument(
        "--report", action="store_true", help="also write a report for people to read, as Encapsulated PDF"
    )
    parser.add_argument("--surfaces", action="store_true", help="also write an STL model of each label")
    parser.add_argument(
        "--surface-detail",
        type=_millimetres,
        default=0.0,
        metavar="MM",
        help="smooth what is finer than this in STL models, with fewer triangles; 0 follows the voxels (%(default)g)",
    )
    parser.add_argument(
        "--series-number",
        type=checked_number,
        default=SeriesPolicy.first_number,
        metavar="N",
        help="first Series Number, of segmentations; other kinds are 1000 apart, the source's is added (%(default)s)",
    )
    parser.add_argument(
        "--series-description",
        type=checked_description,
        default=SeriesPolicy.description,
        metavar="TEXT",
        help=f"Series Description; {', '.join(f'{{{place}}}' for place in PLACES)} are filled in (%(default)s)",
    )
    parser.add_argument(
        "--not-for-diagnostic-use",
        action="store_true",
        help=f"say {NOTICE!r} in every object, in its pictures and pages too",
    )
    parser.add_argument(
        "--modality",
        choices=["CT", "OT"],
        default="OT",
        help="what a volume without DICOM source holds: CT (Hounsfield units), or OT, anything else (%(default)s)",
    )


def _millimetres(text: str) -> float:
    try:
        length = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no number of millimetres") from error
    if not 0 <= length <= _COARSEST_DETAIL:
        raise ArgumentTypeError(f"{text!r} is not within 0 to {_COARSEST_DETAIL} mm")
    return length


def wanted_of(options: Namespace) -> Wanted:
    """The objects that are wanted of label volumes."""
    return Wanted(
        segmentation=SegmentationForm(SegmentationType(options.segmentation.upper()), options.keep_empty_frames),
        overlay=not options.no_overlay,
        structure_set=options.structure_set,
        measurements=options.measurements,
        report=options.report,
        surfaces=options.surfaces,
        surface_detail_mm=options.surface_detail,
    )


def policy_of(options: Namespace) -> SeriesPolicy:
    """How series are numbered and described."""
    notice = NOTICE if options.not_for_diagnostic_use else ""
    return SeriesPolicy(options.series_number, options.series_description, notice)
