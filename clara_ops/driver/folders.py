"""The folders of a stage: in its container (docs/architecture.md, 2.2), or as given on the command line."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clara_ops.contract import environment, payload
from clara_ops.contract.errors import BadInput, ClaraError

DEFAULT_APP_DIR = "/app"


class FolderError(ClaraError):
    """A folder that the stage needs is not there."""


@dataclass(frozen=True)
class StageFolders:
    """Where a stage reads and writes.

    Attributes:
        input: what the stage before wrote; with several producers one folder `<producing stage>` for each.
        output: where the stage writes; while it runs a hidden folder, whose files are renamed into place at the end.
        locks: lock files of the payload; None outside of a container, as all that follow.
        logs: log and events files of the payload.
        publish: what the render server shows.
        dicom: the DICOM files that the workflow started with.
        manifest: `payload.json` (contract.payload.Manifest).
    """

    input: Path
    output: Path
    locks: Path | None = None
    logs: Path | None = None
    publish: Path | None = None
    dicom: Path | None = None
    manifest: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "StageFolders":
        """The folders of this container, below `CLARA_APP_DIR`.

        Paths that the environment names (`HOLOSCAN_INPUT_PATH`, the folder of `CLARA_LOG_NAME`) count where they exist.

        Raises:
            FolderError: there is no input or no output folder.
        """
        app = Path(environ.get(environment.APP_DIR, DEFAULT_APP_DIR))
        return cls(
            input=_required(_named(app, environ.get(environment.HOLOSCAN_INPUT), "input"), app / "input"),
            output=_required(_named(app, environ.get(environment.HOLOSCAN_OUTPUT), "output"), app / "output"),
            locks=_named(app, _parent(environ.get(environment.LOCK_NAME)), payload.LOCKS),
            logs=_named(app, _parent(environ.get(environment.LOG_NAME)), payload.LOGS),
            publish=_named(app, None, payload.PUBLISH),
            dicom=_named(app, None, "dicom"),
            manifest=manifest if (manifest := app / payload.MANIFEST).is_file() else None,
        )

    @classmethod
    def by_hand(cls, input_folder: Path, output: Path, dicom: Path | None = None) -> "StageFolders":
        """The folders that a person names; the output folder is made.

        Raises:
            FolderError: the input folder, or the DICOM folder, is not there.
        """
        for folder in (input_folder, dicom):
            if folder is not None and not folder.is_dir():
                raise FolderError(f"{folder}: no such folder; name the folder that holds the stage's input")
        output.mkdir(parents=True, exist_ok=True)
        return cls(input=input_folder, output=output, dicom=dicom)

    def volumes(self) -> tuple[Path, ...]:
        """All volumes of the input, sorted: `.mhd` files at any depth, since several producers have a folder each.

        What is hidden is left out: it is not finished.

        Raises:
            BadInput: there is none.
        """
        found = tuple(path for path in walk_files(self.input) if path.suffix == ".mhd")
        if not found:
            raise BadInput(f"{self.input}: holds no volume (*.mhd); let a stage run first that writes one")
        return found


def walk_files(folder: Path) -> tuple[Path, ...]:
    """All files at any depth, sorted; hidden files and folders are left out.

    Links to folders are followed: where nothing can be mounted, the folders of a stage are links.
    """
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return tuple(sorted(found))


def _parent(name: str | None) -> str | None:
    """The folder of a file name that is a whole path; a bare name says nothing of its folder."""
    return str(Path(name).parent) if name and "/" in name else None


def _named(app: Path, named: str | None, default: str) -> Path | None:
    """The named folder when it lies in the application folder, else the default one, else the named one elsewhere."""
    candidates = [app / default]
    if named:
        inside = Path(named).is_relative_to(app)
        candidates.insert(0 if inside else 1, Path(named))
    return next((folder for folder in candidates if folder.is_dir()), None)


def _required(folder: Path | None, expected: Path) -> Path:
    if folder is None:
        raise FolderError(
            f"{expected}: no such folder; mount the payload there, set {environment.APP_DIR}, "
            "or run the stage by hand with --input and --output"
        )
    return folder
