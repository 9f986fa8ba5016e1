"""`python -m bench.dicom_stages [reader] [reader-j2k] [writer] [writer-labelmap] [--rounds N]`: the DICOM stages and
their peers on a CT of 300 x 512 x 512.

Every command runs once in each round, one after the other, so that all see the same machine; in a round before that,
which does not count, its memory is measured. Whole processes are measured, start and imports included; what the imports
alone cost stands in rows of its own.
"""

import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.processes import Cost, cost_of, peak_memory_of
from bench.stage_input import StageInput, stage_input

_PYTHON = sys.executable
_PROGRAMS = Path(sys.executable).parent
_VOLUME_MIB = 300 * 512 * 512 * 2 / 2**20

Commands = dict[str, list[str]]


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a Markdown table for each subject."""
    parser = ArgumentParser(prog="python -m bench.dicom_stages")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(_SUBJECTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--input", type=Path, metavar="DIR", help="where to make the input, or to find what was made")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = stage_input(options.input or folder / "input")
        for subject in options.subjects or _SUBJECTS:
            commands = _SUBJECTS[subject](given, folder / "out")
            print(f"\n{subject}, the volume has {_VOLUME_MIB:.0f} MiB\n\n{measure(commands, options.rounds, folder)}")
    return 0


def reader(given: StageInput, out: Path) -> Commands:
    return _readers(given.plain, out)


def reader_jpeg2000(given: StageInput, out: Path) -> Commands:
    return _readers(given.jpeg2000, out)


def _readers(series: Path, out: Path) -> Commands:
    stage = [str(_PROGRAMS / "clara-stage"), "dicom-reader", "--input", str(series), "--output", str(out / "ours")]
    return {
        "dicom-reader": stage,
        "SimpleITK ImageSeriesReader": _peer("simpleitk_reader", series, out / "volume.mhd"),
        "dcm2niix": ["dcm2niix", "-z", "n", "-b", "n", "-f", "volume", "-o", str(out), str(series)],
        "pydicom loop": _peer("pydicom_reader", series, out / "volume.raw"),
        "imports of dicom-reader": _imports("clara_ops.stages.command", "clara_ops.stages.dicom_reader"),
        "imports of SimpleITK": _imports("SimpleITK"),
        "imports of the pydicom loop": _imports("numpy", "pydicom"),
    }


def writer(given: StageInput, out: Path) -> Commands:
    return _writers(given, out, "binary")


def writer_labelmap(given: StageInput, out: Path) -> Commands:
    return _writers(given, out, "labelmap")


def _writers(given: StageInput, out: Path, kind: str) -> Commands:
    stage = [str(_PROGRAMS / "clara-stage"), "dicom-writer", "--input", str(given.labels), "--dicom", str(given.plain)]
    dcmqi = [str(_PROGRAMS / "itkimage2segimage"), "--inputImageList", str(given.volume)]
    dcmqi += ["--inputDICOMDirectory", str(given.plain), "--inputMetadata", str(given.dcmqi)]
    return {
        "dicom-writer": [*stage, "--output", str(out / "ours"), "--no-overlay", "--segmentation", kind],
        "highdicom": _peer("highdicom_writer", given.plain, given.volume, out / "peer.dcm", kind.upper()),
        "dcmqi": [*dcmqi, "--outputDICOM", str(out / "dcmqi.dcm"), "--segmentationType", kind],
        "imports of dicom-writer": _imports("clara_ops.stages.command", "clara_ops.stages.dicom_writer"),
        "imports of highdicom": _imports("highdicom", "SimpleITK"),
    }


_SUBJECTS: Mapping[str, Callable[[StageInput, Path], Commands]] = {
    "reader": reader,
    "reader-j2k": reader_jpeg2000,
    "writer": writer,
    "writer-labelmap": writer_labelmap,
}


def _peer(name: str, *arguments: object) -> list[str]:
    return [_PYTHON, "-m", f"bench.peers.{name}", *map(str, arguments)]


def _imports(*modules: str) -> list[str]:
    return [_PYTHON, "-c", f"import {', '.join(modules)}"]


def measure(commands: Commands, rounds: int, folder: Path) -> str:
    """Costs as a Markdown table: medians, and each as a multiple of the first command's."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    memory = {}
    for name, command in commands.items():
        _empty(folder / "out")
        memory[name] = peak_memory_of(command)
    for _ in range(rounds):
        for name, command in commands.items():
            _empty(folder / "out")
            costs[name].append(cost_of(command))
    lines = [
        "| | wall, s | least | most | CPU, s | times ours | peak memory, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    ours = median(cost.wall for cost in next(iter(costs.values())))
    for name in commands:
        walls = [cost.wall for cost in costs[name]]
        cpu = median(cost.cpu for cost in costs[name])
        lines.append(
            f"| {name} | {median(walls):.2f} | {min(walls):.2f} | {max(walls):.2f} | {cpu:.2f} "
            f"| {median(walls) / ours:.2f} | {memory[name]:.0f} |"
        )
    return "\n".join(lines)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
