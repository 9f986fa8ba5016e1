"""Running the DICOM stages on folders, as `clara-stage` does by hand."""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.stages import dicom_reader, dicom_writer


def no_progress(percent: float, message: str = "", /) -> None:
    """A progress that nobody looks at."""


def run_reader(dicom: Path, output: Path, *arguments: str) -> StageResult:
    """Run dicom-reader with the arguments of a command line."""
    parser = ArgumentParser()
    dicom_reader.add_arguments(parser)
    return dicom_reader.run(StageFolders.by_hand(dicom, output), parser.parse_args(arguments), no_progress)


def read_volumes(dicom: Path, output: Path, *arguments: str) -> dict[str, sitk.Image]:
    """The volumes that dicom-reader writes, by file name without `.mhd`."""
    run_reader(dicom, output, *arguments)
    return {path.stem: sitk.ReadImage(str(path)) for path in sorted(output.glob("*.mhd"))}


def read_volume(dicom: Path, output: Path, *arguments: str) -> sitk.Image:
    """The one volume that dicom-reader writes."""
    (volume,) = read_volumes(dicom, output, *arguments).values()
    return volume


def run_writer(
    volumes: Path, dicom: Path | None, output: Path, *arguments: str, manifest: Path | None = None
) -> StageResult:
    """Run dicom-writer with the arguments of a command line."""
    parser = ArgumentParser()
    dicom_writer.add_arguments(parser)
    folders = replace(StageFolders.by_hand(volumes, output, dicom), manifest=manifest)
    return dicom_writer.run(folders, parser.parse_args(arguments), no_progress)
