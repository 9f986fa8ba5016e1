"""Where the workflow files are: our layout, or a folder of 2019."""

from dataclasses import dataclass
from pathlib import Path

from clara_ops.cli.errors import ProjectNotFound

OURS = "helm/clara-workflow/values.yaml"
CATALOGUES = (
    OURS,
    "charts/clara-workflow/values.yaml",
    "charts/clara-workflows/values.yaml",
    "clara-reference-workflow/charts/clara-workflow/values.yaml",
    "clara-reference-workflow/charts/clara-workflows/values.yaml",
)
DEFAULT_JOB = "00000000-0000-0000-0000-000000000000"
"""The job of 2019 that is emptied and used again."""

INSTALLED = Path(__file__).resolve().parents[2]
"""The checkout that this program runs from."""


@dataclass(frozen=True)
class Project:
    """The files of one user.

    Attributes:
        root: the folder that commands are about; `.clara/` lies in it.
        catalogue: `values.yaml`, to which `create_stage` adds.
    """

    root: Path
    catalogue: Path

    @property
    def is_ours(self) -> bool:
        """Whether it has our layout, and not that of 2019."""
        return self.catalogue == self.root / OURS

    @property
    def home(self) -> Path:
        """What commands write that is not the user's: `.clara/`."""
        return self.root / ".clara"

    def workflow_files(self) -> tuple[Path, ...]:
        """Every file that may hold workflows. The `values.yaml` may hold some itself, as in 2019."""
        folder = self.root / "dags" / "workflows"
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
        return (*files, self.catalogue)

    def shared_catalogues(self) -> list[Path]:
        """The catalogue files for all workflows: ours, also for the stages that a file of 2019 does not describe."""
        ours = INSTALLED / OURS
        return [self.catalogue] if self.is_ours else [path for path in (ours,) if path.is_file()]


def find_project(root: Path | None, start: Path) -> Project:
    """The project of `root`, or, where that is None, of the nearest folder from `start` upwards.

    Raises:
        ProjectNotFound: saying what was looked for.
    """
    folders = [root.resolve()] if root is not None else [start.resolve(), *start.resolve().parents]
    for folder in folders:
        catalogue = _catalogue_in(folder)
        if catalogue is not None:
            return Project(folder, catalogue)
    where = f"{folders[0]}" if root is not None else f"{folders[0]} and the folders above"
    raise ProjectNotFound(
        f"{where}: no {OURS} (nor charts/clara-workflow/values.yaml of 2019); "
        "change into the checkout, or name it with --root"
    )


def _catalogue_in(folder: Path) -> Path | None:
    for name in CATALOGUES:
        if (folder / name).is_file():
            return folder / name
    bare = folder / "values.yaml"
    in_chart = (folder / "Chart.yaml").is_file()
    return bare if bare.is_file() and not in_chart and _has_stages(bare) else None


def _has_stages(path: Path) -> bool:
    """Whether a `values.yaml` that lies about is a catalogue: other charts have files of that name."""
    return any(line.startswith("stages:") for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
