"""Where the laptop finds what it runs."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from clara_ops.laptop.airflow import Bundle


@dataclass(frozen=True)
class Checkout:
    """Where the laptop finds what it runs: the checkout, or a copy of its layout."""

    root: Path

    @property
    def bundle(self) -> Bundle:
        """Workflows and catalogue."""
        return Bundle(self.root / "dags" / "workflows", (self.root / "helm" / "clara-workflow" / "values.yaml",))

    @property
    def listener_configuration(self) -> Path:
        """The mapping from AE titles to workflows."""
        return self.root / "helm" / "clara-platform" / "files" / "dicom-server-config.yaml"

    def workflows_of(self, ae_title: str) -> list[str]:
        """Ids or names of the workflows that an AE title starts, as the mapping has them."""
        mapping = yaml.safe_load(self.listener_configuration.read_text())["workflows"]
        return [str(entry["workflow"]) for entry in mapping if entry["clara-ae-title"] == ae_title]

    def binaries(self, environment: str) -> Path:
        """The programs of an environment."""
        return self.root / ".venvs" / environment / "bin"
