"""The form of Airflow's trigger dialog: which input, and the workflow's parameters.

Airflow checks what comes over its REST API by the same form.
"""

from airflow.sdk import Param

from clara_ops.workflow.parameters import json_schema
from clara_ops.workflow.workflow import Workflow

_LONGEST_AE_TITLE = 16
_LONGEST_GROUP = 128


def trigger_form(workflow: Workflow) -> dict[str, Param]:
    """The DAG's `params`: one field each for AE title, group and every parameter; 400 for a value that does not fit."""
    return {
        "ae_title": Param(
            type="string",
            minLength=1,
            maxLength=_LONGEST_AE_TITLE,
            title="Called AE title",
            description="AE title of the DICOM listener that the images were sent to.",
        ),
        "group": Param(
            type="string",
            minLength=1,
            maxLength=_LONGEST_GROUP,
            title="Series",
            description="Series Instance UID of images that the listener has received (where it groups by study or "
            "by another element: the value of that).",
        ),
        **{
            name: Param(parameter.usual, title=name, description=parameter.help or None, **json_schema(parameter))
            for name, parameter in workflow.parameters.items()
        },
    }
