"""The options that the catalogue declares for our stages are those that the stages take."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from clara_ops.stages.finder import load_stage

CATALOGUE = Path(__file__).resolve().parents[2] / "helm" / "clara-workflow" / "values.yaml"
ENTRIES: dict[str, Any] = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("name", ENTRIES)
def test_declared_options_are_taken_with_their_defaults(name: str) -> None:
    entry = ENTRIES[name]
    assert entry["command"] == ["clara-stage", name]
    parser = ArgumentParser()
    load_stage(name).add_arguments(parser)
    actions = {text: action for action in parser._actions for text in action.option_strings}
    for option in entry["args"]:
        action = actions[f"--{option['name']}"]
        if "default" in option:
            assert action.default == option["default"]
        if "choices" in option:
            assert set(option["choices"]) <= {str(choice) for choice in action.choices or ()}
