"""Secrets of a local run: each is made of the variables that its values are given to."""

from dataclasses import replace

import pytest

from clara_ops.cli.errors import SecretMissing
from clara_ops.cli.secrets import secrets_of
from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.fields import SecretKey
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.workflow import Workflow

from .conftest import ROOT


@pytest.fixture(scope="module")
def workflow() -> Workflow:
    """The main workflow, whose first two stages take values from Secrets."""
    catalogue = load_catalogue([ROOT / "helm" / "clara-workflow" / "values.yaml"])
    (found,) = load_workflows(ROOT / "dags" / "workflows" / "organ-seg.yaml", catalogue)
    reader, ai, *others = found.stages
    reader = replace(reader, env={"A": SecretKey(secret="site", key="a"), "PLAIN": "text"})
    ai = replace(ai, env={"B": SecretKey(secret="site", key="b"), "C": SecretKey(secret="other", key="c")})
    return replace(found, stages=(reader, ai, *others))


def test_each_secret_has_the_keys_that_the_stages_ask_for(workflow: Workflow) -> None:
    found = secrets_of(workflow, {"A": "1", "B": "2", "C": "3", "D": "4"})
    assert found == {"site": {"a": "1", "b": "2"}, "other": {"c": "3"}}


def test_all_that_is_not_set_is_said_at_once(workflow: Workflow) -> None:
    with pytest.raises(SecretMissing) as raised:
        secrets_of(workflow, {"A": "", "B": "2"})
    assert "set A in the environment" in str(raised.value)
    assert "set C in the environment" in str(raised.value)
    assert "set B" not in str(raised.value)
