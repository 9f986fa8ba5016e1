"""A laptop whose workflows use what the language has beyond chains: its workflows, catalogue and mapping."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clara_ops.laptop.airflow import Bundle
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.setup import ROOT

TELL = """
import json, os, sys
from pathlib import Path
given = {name: value for name, value in os.environ.items() if name.startswith(("CLARA_PARAMETER_", "NOTE"))}
facts = {"words": json.dumps(sys.argv[1:]), **given}
Path("/app/output/result.json").write_text(json.dumps({"version": 1, "facts": facts}))
"""
STAMP = """
import json
from pathlib import Path
import pydicom
image = pydicom.dcmread(next(Path("/app/input").rglob("*.dcm")))
image.SeriesInstanceUID = pydicom.uid.generate_uid()
image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
image.save_as("/app/output/stamped.dcm")
Path("/app/output/result.json").write_text(json.dumps({"version": 1, "facts": {"liver_ml": 1432.5}}))
"""
SEGMENT = """
import sys, time
from pathlib import Path
import numpy as np
import pydicom
from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.label_table import write_label_table
from clara_ops.imaging.metaimage import write_volume
first, mode = int(sys.argv[1]), sys.argv[2]
if mode == "fails":
    sys.exit(65)
time.sleep(8 if mode == "slow" else 0)
output = Path("/app/output")
axes = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
voxels = np.zeros((10, 10, 10), np.uint8)
voxels[first:first + 5] = 1
write_volume(output / "1.2.mhd", voxels, Grid((10, 10, 10), (10, 10, 10), (0, 0, 0), axes))
code = Code("10200004", "SCT", "Liver")
write_label_table(LabelTable("test", "1", (Label(1, "liver", (255, 0, 0), code, code),)), output / "1.2.mhd")
image = pydicom.dcmread(next(Path("/app/input").rglob("*.dcm")))
image.SeriesInstanceUID = pydicom.uid.generate_uid()
image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
image.save_as(output / "segmented.dcm")
"""


def entry(name: str, program: str) -> dict[str, Any]:
    """A stage that is a few lines of Python."""
    return {
        "image": {"repository": "clara-stages"},
        "stageName": name,
        "logName": f"/app/logs/{name}.log",
        "lockName": f"{name}.lock",
        "timeout": "60",
        "command": ["python", "-c", program],
        "driver": False,
    }


ENTRIES = {name: entry(name, text) for name, text in (("tell", TELL), ("stamp", STAMP), ("segment", SEGMENT))}
PARAMETERS = """\
id: 11111111-0000-4000-8000-000000000001
name: with-parameters
description: Tells what it was given.
parameters:
  threshold: {type: number, default: 0.5, minimum: 0, maximum: 1, help: Smallest probability of a finding.}
  model: {type: choice, choices: [small, large], default: small, help: Which network.}
  note: {default: none, help: For the report.}
  quick: {type: flag, help: Leave out what takes long.}
stages:
  - {stage: tell, args: ["--threshold=${threshold}", "--model", "${model}", "--note=${note}"], env: {NOTE: "<${note}>"}}
"""
REVIEW = """\
id: 11111111-0000-4000-8000-000000000002
name: with-review
review: {timeLimit: 600, onTimeout: approve, question: "Is the liver right?"}
stages: [{stage: stamp}]
"""
IMPATIENT = """\
id: 11111111-0000-4000-8000-000000000003
name: impatient
review: {timeLimit: 2, onTimeout: fail}
stages: [{stage: stamp}]
"""
SHADOW = """\
id: 11111111-0000-4000-8000-000000000004
name: with-shadow
parameters: {mode: {type: choice, choices: [slow, fails], default: slow}}
shadow: {of: segment, stage: segment, args: "1 ${mode}"}
stages: [{stage: segment, args: 0 quick}]
"""
WORKFLOWS = {"PARAMETERS": PARAMETERS, "REVIEW": REVIEW, "IMPATIENT": IMPATIENT, "SHADOW": SHADOW}


@dataclass(frozen=True)
class FeatureCheckout(Checkout):
    """The checkout's programs, with the workflows of a folder."""

    folder: Path

    @property
    def bundle(self) -> Bundle:
        """The folder's workflows, and its catalogue beside the shipped one."""
        shipped = super().bundle
        return Bundle(self.folder / "workflows", (*shipped.catalogues, self.folder / "values.yaml"))

    @property
    def listener_configuration(self) -> Path:
        """An AE title for each workflow."""
        return self.folder / "dicom-server-config.yaml"


def make_checkout(folder: Path) -> FeatureCheckout:
    """Write the workflows, the catalogue and the mapping into a folder."""
    (folder / "workflows").mkdir()
    (folder / "values.yaml").write_text(json.dumps({"stages": ENTRIES}))
    configuration = yaml.safe_load(Checkout(ROOT).listener_configuration.read_text())
    configuration["dicom"]["scp"]["ae-titles"] = list(WORKFLOWS)
    configuration["workflows"] = []
    for ae_title, text in WORKFLOWS.items():
        name = yaml.safe_load(text)["name"]
        (folder / "workflows" / f"{name}.yaml").write_text(text)
        mapping = {"name": name, "clara-ae-title": ae_title, "destination-name": "DCM4CHEE", "workflow": name}
        configuration["workflows"].append(mapping)
    (folder / "dicom-server-config.yaml").write_text(yaml.safe_dump(configuration))
    return FeatureCheckout(ROOT, folder)
