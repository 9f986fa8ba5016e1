"""Run ids: payload folder, Airflow run id and idempotency key in one. The same input gives the same id."""

import hashlib
import re

from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.names import check_ae_title

_RUN_ID = re.compile(r"(?P<ae>[a-z0-9][a-z0-9-]{0,15})-(?P<digest>[0-9a-f]{20})-g(?P<generation>[1-9][0-9]*)")


def make_run_id(workflow_id: str, ae_title: str, group: str, generation: int) -> str:
    """The id of the run of one workflow on one group of instances.

    Args:
        workflow_id: the workflow's UUID.
        ae_title: the called AE title.
        group: value that the instances were grouped by, usually the Series Instance UID.
        generation: 1 for the first run, counted up when late instances or a person ask again.
    """
    ae_title = check_ae_title(ae_title)
    if generation < 1:
        raise NameRuleError(f"generation {generation}: counts from 1")
    slug = re.sub(r"[^a-z0-9]+", "-", ae_title.lower()).strip("-") or "ae"
    digest = hashlib.sha256("\0".join((workflow_id, ae_title, group)).encode()).hexdigest()[:20]
    return f"{slug}-{digest}-g{generation}"


def check_run_id(value: str) -> str:
    """A run id, safe as a folder name.

    Raises:
        NameRuleError: it was not made by `make_run_id`.
    """
    if _RUN_ID.fullmatch(value) is None:
        raise NameRuleError(f"run id {value!r}: must look like 'ct-ai-0123456789abcdef0123-g1'")
    return value
