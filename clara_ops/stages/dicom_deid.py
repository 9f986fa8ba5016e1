"""dicom-deid: de-identifies every DICOM object of the input by PS3.15 Annex E, and reports what is left."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from clara_ops.contract.documents import write_document
from clara_ops.contract.result import StageResult
from clara_ops.deid.burned_in import known_layouts
from clara_ops.deid.errors import IdentityLeft, NothingToDeidentify
from clara_ops.deid.key_map import check_key_map, write_key_map
from clara_ops.deid.leftovers import LeftoverReport, LeftoverSearch
from clara_ops.deid.objects import Job, Outcome, deidentify_file, dicom_files, own_words_of
from clara_ops.deid.private_attributes import AllowList, read_allow_list
from clara_ops.deid.profile import Option, Options
from clara_ops.deid.pseudonyms import Pseudonyms, UidMap
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.outputs import PARTIAL
from clara_ops.driver.progress import Progress

DESCRIPTION = "de-identifies DICOM objects by PS3.15 Annex E, with a key (CLARA_DEID_KEY), and reports what is left"

LEFTOVERS = "leftovers.json"
REFUSE, REPORT = "refuse", "report"
_FLAGS = {
    Option.RETAIN_MODIFIED_DATES: "keep dates, all moved by the same number of days for each patient",
    Option.RETAIN_UIDS: "keep UIDs",
    Option.RETAIN_DEVICE: "keep what identifies the device",
    Option.RETAIN_PATIENT_CHARACTERISTICS: "keep sex, age, size, weight and the like",
    Option.CLEAN_DESCRIPTORS: "keep descriptions, but only words that are known to be harmless",
    Option.CLEAN_PIXEL_DATA: "blacken text that is burned into pixels, where it is known where",
}
_FLAG_NAMES = {Option.RETAIN_MODIFIED_DATES: "--retain-longitudinal-modified-dates"}
_TOLD = 10

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """The options of the stage: those of PS3.15 section E.3, and what becomes of what is left."""
    for option, help_text in _FLAGS.items():
        flag = _FLAG_NAMES.get(option, f"--{option.value.replace('_', '-')}")
        parser.add_argument(flag, dest=option.value, action="store_true", help=help_text)
    parser.add_argument(
        "--private-tags", type=Path, metavar="FILE", help="private attributes to keep: lines of '(gggg,xxee) CREATOR'"
    )
    parser.add_argument(
        "--pixel-layouts",
        type=Path,
        metavar="FILE",
        help="CSV file of more places with burned-in text",
    )
    parser.add_argument(
        "--leftovers",
        choices=(REFUSE, REPORT),
        default=REFUSE,
        help=f"values that still identify end the stage with exit code 65, or are listed in {LEFTOVERS} (%(default)s)",
    )
    parser.add_argument(
        "--write-key-map", type=Path, metavar="FILE", help="write originals and replacements to a new file (0600)"
    )


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult | None:
    """Write each object as `<new SOP Instance UID>.dcm`, and `leftovers.json`.

    Returns:
        Facts: `objects`, `patients`, `pixels_cleaned`, `leftovers`, `unclean`, and `other_files`, which were left out.

    Raises:
        MissingKey: there is no key.
        IdentityLeft: a value or an object still identifies its patient, and that is refused.
        DeidError: an option's file, or an object, cannot be read.
    """
    pseudonyms = Pseudonyms.from_environment()
    chosen = _chosen(options)
    private = read_allow_list(options.private_tags) if options.private_tags else AllowList()
    layouts = known_layouts(options.pixel_layouts)
    if options.write_key_map:
        check_key_map(options.write_key_map, _visible(folders.output))
    paths, others = dicom_files(folders.input)
    if not paths:
        raise NothingToDeidentify(f"{folders.input}: holds no DICOM object; name a folder that does")
    own = own_words_of(_sources(paths, folders), with_uids=Option.RETAIN_UIDS not in chosen)
    job = Job(chosen, UidMap(pseudonyms), LeftoverSearch(own), private, layouts)
    outcomes = _work(paths, folders, job, progress)
    report = _report(outcomes)
    if folders.logs:
        write_document(report, folders.logs / f"dicom-deid.{LEFTOVERS}")
    if not report.is_clean and options.leftovers == REFUSE:
        raise IdentityLeft(_refusal(report))
    write_document(report, folders.output / LEFTOVERS)
    if options.write_key_map:
        subjects = {identity.partition("\0")[2]: subject for identity, subject in job.subjects.items()}
        write_key_map(options.write_key_map, subjects, job.uids.known)
    return _result(outcomes, report, job, others)


def _chosen(options: Namespace) -> Options:
    """Structured content is always cleaned: the profile alone would leave nothing of it."""
    chosen = {option for option in _FLAGS if getattr(options, option.value)} | {Option.CLEAN_STRUCTURED_CONTENT}
    return frozenset(chosen | ({Option.RETAIN_SAFE_PRIVATE} if options.private_tags else set()))


def _visible(output: Path) -> Path:
    return output.parent if output.name == PARTIAL else output


def _sources(paths: tuple[Path, ...], folders: StageFolders) -> tuple[Path, ...]:
    """Where the patients' own words are: the input, and what the workflow started with, which may say more."""
    if folders.dicom is None or folders.dicom.samefile(folders.input):
        return paths
    return (*paths, *dicom_files(folders.dicom)[0])


def _work(paths: tuple[Path, ...], folders: StageFolders, job: Job, progress: Progress) -> list[Outcome]:
    outcomes = []
    for number, path in enumerate(paths, start=1):
        outcomes.append(deidentify_file(path, folders.output, job))
        progress(100 * number / len(paths), f"object {number} of {len(paths)}")
    return outcomes


def _report(outcomes: list[Outcome]) -> LeftoverReport:
    return LeftoverReport(
        objects=sum(outcome.written for outcome in outcomes),
        leftovers=tuple(leftover for outcome in outcomes for leftover in outcome.leftovers),
        unclean=tuple(outcome.unclean for outcome in outcomes if outcome.unclean),
    )


def _refusal(report: LeftoverReport) -> str:
    """What is left, without a value, and what to do."""
    places = sorted({f"{leftover.place} ({leftover.kind})" for leftover in report.leftovers})
    reasons = sorted({f"{item.sop_class}: {item.reason}" for item in report.unclean})
    told = [*places[:_TOLD], *reasons[:_TOLD]]
    return (
        f"{len(report.leftovers)} values and {len(report.unclean)} objects may still identify the patient: "
        f"{'; '.join(told)}{'; ...' if len(places) + len(reasons) > len(told) else ''}. "
        "Nothing was written. Have the source corrected, leave these objects out, or, to look through them, "
        f"run with --leftovers {REPORT}"
    )


def _result(outcomes: list[Outcome], report: LeftoverReport, job: Job, others: int) -> StageResult:
    facts = {
        "objects": report.objects,
        "patients": len(job.subjects),
        "pixels_cleaned": sum(outcome.pixels_cleaned for outcome in outcomes),
        "leftovers": len(report.leftovers),
        "unclean": len(report.unclean),
        "other_files": others,
    }
    log.info("de-identified: %s", ", ".join(f"{name} {count}" for name, count in facts.items()))
    reason = None if report.is_clean else f"{LEFTOVERS} lists what may still identify the patient: look through it"
    return StageResult(reason, facts)
