"""`clara-stage NAME`: one stage, in its container through the driver, or by hand on any folder."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from clara_ops.contract import environment
from clara_ops.contract.errors import ClaraError
from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.lifecycle import Work, run_stage
from clara_ops.driver.logs import log_to_stdout
from clara_ops.driver.progress import Progress
from clara_ops.driver.settings import StageSettings
from clara_ops.stages.finder import StageModule, load_stage, stage_descriptions

USAGE_ERROR = 2


class OutputNotEmpty(ClaraError):
    """The output folder holds files, which the driver would remove."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: contract.errors.StageExit, or 2 for a wrong command line."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else USAGE_ERROR
    name, *rest = words
    try:
        return _run(name, load_stage(name), rest)
    except ClaraError as error:
        print(f"clara-stage {name}: {type(error).__name__}: {error}", file=sys.stderr)
        return USAGE_ERROR


def _overview() -> str:
    stages = stage_descriptions()
    width = max(map(len, stages), default=0)
    lines = [
        "usage: clara-stage NAME --input DIR --output DIR [options of the stage]",
        "       clara-stage NAME --help",
        "",
        "Runs one stage by hand, or, in its container, through the driver and without --input and --output.",
        "",
        "stages:",
        *(f"  {name:{width}}  {description}" for name, description in stages.items()),
    ]
    return "\n".join(lines)


def _run(name: str, stage: StageModule, words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=f"clara-stage {name}", description=stage.DESCRIPTION)
    by_hand = parser.add_argument_group("by hand")
    by_hand.add_argument("--input", type=Path, metavar="DIR", help="folder to read")
    by_hand.add_argument("--output", type=Path, metavar="DIR", help="folder to write, new or empty")
    by_hand.add_argument("--dicom", type=Path, metavar="DIR", help="the DICOM files that the input was made of")
    by_hand.add_argument("--overwrite", action="store_true", help="empty the output folder first")
    stage.add_arguments(parser)
    options = parser.parse_args(words)

    def work(folders: StageFolders, progress: Progress) -> StageResult | None:
        return stage.run(folders, options, progress)

    if options.input or options.output:
        if not (options.input and options.output):
            parser.error("by hand a stage needs both --input and --output")
        return _run_by_hand(name, work, options)
    if environment.STAGE not in os.environ:
        parser.error(
            f"give --input and --output; only a stage's container, with {environment.STAGE} set, knows its folders"
        )
    log_to_stdout(logging.WARNING)
    logging.getLogger("clara_ops").setLevel(logging.INFO)
    return run_stage(work, StageFolders.from_environment(), StageSettings.from_environment())


def _run_by_hand(name: str, work: Work, options: argparse.Namespace) -> int:
    folders = StageFolders.by_hand(options.input, options.output, options.dicom)
    _check_output(folders, overwrite=options.overwrite)
    log_to_stdout(logging.WARNING)
    with _progress_of(name) as show:
        return run_stage(work, folders, StageSettings(stage=name), show)


def _progress_of(stage: str) -> AbstractContextManager[Progress]:
    """A bar on stderr when that is a terminal, else a line for each step."""
    if not sys.stderr.isatty():
        return nullcontext(_print_line)
    from clara_ops.stages.progress_bar import progress_bar

    return progress_bar(stage)


def _print_line(percent: float, message: str = "", /) -> None:
    print(f"{percent:5.1f}% {message}".rstrip(), file=sys.stderr, flush=True)


def _check_output(folders: StageFolders, *, overwrite: bool) -> None:
    """Nothing of the user's may be lost when the driver empties the output folder."""
    output = folders.output.resolve()
    for folder in (folders.input, folders.dicom):
        if folder is not None and folder.resolve().is_relative_to(output):
            raise OutputNotEmpty(f"{folders.output}: holds the input {folder}; name another output folder")
    if not overwrite and any(output.iterdir()):
        raise OutputNotEmpty(f"{folders.output}: is not empty; name a new folder, or empty it with --overwrite")


if __name__ == "__main__":
    sys.exit(main())
