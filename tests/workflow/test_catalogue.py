"""The stage catalogue: the entry form of 2019 as it stands, our keys after it, and what is refused."""

import argparse
import importlib
from pathlib import Path

import pytest
import yaml

from clara_ops.workflow.catalogue import Catalogue, WorkflowTimeout, load_catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.options import complete_args

ROOT = Path(__file__).parents[2]
VALUES_2019 = ROOT / "tests" / "data" / "clara2019" / "values.yaml"
OWN = ROOT / "helm" / "clara-workflow" / "values.yaml"

ENTRY = """\
  tool:
    image: {repository: tool, tag: "1"}
    stageName: tool
    logName: /app/logs/tool.log
    lockName: tool.lock
    timeout: "60"
"""


def write(path: Path, *lines: str, entry: str = ENTRY) -> Path:
    path.write_text("stages:\n" + entry + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def errors_of(path: Path) -> list[str]:
    with pytest.raises(WorkflowFileError) as raised:
        load_catalogue([path])
    return str(raised.value).splitlines()


def test_entries_of_2019_are_read_as_they_stand() -> None:
    entries = load_catalogue([VALUES_2019])
    assert set(entries) == {"ai-vnet", "user-ai"}
    entry = entries["user-ai"]
    assert (entry.image.repository, entry.image.tag) == ("user-ai", "latest")
    assert (entry.log_name, entry.lock_dir, entry.lock_name) == ("/app/logs/user-ai.log", "/app/locks", "user-ai.lock")
    assert entry.timeout == 300
    assert entry.args is None


def test_our_entries_begin_with_the_keys_of_2019_in_their_order() -> None:
    of_2019 = list(yaml.safe_load(VALUES_2019.read_text())["stages"]["ai-vnet"])
    for name, entry in yaml.safe_load(OWN.read_text())["stages"].items():
        assert list(entry)[: len(of_2019)] == of_2019, name
        assert isinstance(entry["timeout"], str), name


def test_ai_vnet_asks_for_a_gpu_and_its_model(catalogue: Catalogue) -> None:
    assert catalogue["ai-vnet"].resources.gpu == 1
    assert catalogue["ai-vnet"].models == ("ct_organs_demo",)
    assert catalogue["dicom-reader"].resources.gpu == 0


@pytest.mark.parametrize("name", ["dicom-reader", "ai-vnet", "dicom-writer"])
def test_declared_options_are_those_that_the_stage_takes(catalogue: Catalogue, name: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"clara_ops.stages.{name.replace('-', '_')}").add_arguments(parser)
    for option in catalogue[name].args or ():
        value = {"flag": [], "integer": ["1"], "number": ["1.5"], "choice": option.choices[:1]}.get(option.type, ["x"])
        parser.parse_args([f"--{option.name}", *value])
    parser.parse_args(list(complete_args([], catalogue[name].args)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    timeOut: 3", "unknown key 'timeOut' (did you mean 'timeout'?)"),
        ("    command: run.sh", "command: expected a list; found 'run.sh'"),
        ("    resources: {memory: lots}", "expected a Kubernetes quantity"),
        (
            "    resources: {cores: 2}",
            "(known: claim, cpu, gpu, gpu-product, memory, memory-retry, mig, shm)",
        ),
        ("    resources: {gpu: -1}", "greater than or equal to 0"),
        ("    resources: {mig: half}", "should match pattern"),
        ("    resources: {claim: Big GPU}", "must be 1 to 63 lower case letters"),
        ("    env: {DEBUG: yes}", "env.DEBUG: expected text (put it in quotes); found True"),
        ("    env: {DEBUG: [a]}", "env.DEBUG: expected text (put it in quotes); found ['a']"),
        ("    env: {A-B: x}", "an environment name has letters"),
        ("    env: {KEY: {secret: a}}", "key 'key' is missing; add it"),
        ("    env: {KEY: {secret: a, keey: b}}", "unknown key 'keey' (did you mean 'key'?)"),
        ("    env: {KEY: {secret: A_B, key: k}}", "env.KEY.secret: 'A_B' is no name of a Kubernetes object"),
        ("    env: {KEY: {secret: a, key: b/c}}", "should match pattern"),
        ("    lockDir: locks", "expected an absolute path"),
        ("    lockDir: /app/../etc", "expected an absolute path"),
        ("    inputs: ../../etc", "without '/'"),
        ("    lockDir: /app/output", "each needs a folder of its own"),
        ("    args: [{name: --x}]", "without the dashes"),
        ("    args: [{name: x, type: choice}]", "'choices' goes with 'type: choice'"),
        ("    args: [{name: x, type: int}]", "expected one of 'text', 'integer', 'number', 'flag' or 'choice'"),
        ("    retries: 11", "less than or equal to 10"),
        ("    driver: maybe", "expected true or false"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said_at_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "values.yaml", line)
    errors = errors_of(path)
    assert all(error.startswith(f"{path}:8:") for error in errors)
    assert any(message in error for error in errors), errors


def test_missing_keys_and_a_name_that_is_another_all_at_once(tmp_path: Path) -> None:
    entry = "  tool:\n    image: {repository: tool}\n    stageName: tool\n    lockName: t.lock\n"
    other = ENTRY.replace("  tool:", "  other:")
    errors = errors_of(write(tmp_path / "values.yaml", entry=entry + other))
    assert [error.partition(": ")[2] for error in errors] == [
        "key 'logName' is missing; add it",
        "key 'timeout' is missing; add it",
        "stageName 'tool' has to be the entry's name, 'other'",
    ]


@pytest.mark.parametrize("timeout", ['"0"', "soon", "true", "1.5", '"-3"'])
def test_a_timeout_is_seconds(tmp_path: Path, timeout: str) -> None:
    path = write(tmp_path / "values.yaml", entry=ENTRY.replace('"60"', timeout))
    assert "expected seconds" in errors_of(path)[0]


def test_a_site_says_how_long_workflows_may_run(tmp_path: Path) -> None:
    path = write(tmp_path / "values.yaml", 'workflowTimeout: {default: "900", maximum: 7200}')
    assert load_catalogue([path]).workflow_timeout == WorkflowTimeout(default=900, maximum=7200)
    assert load_catalogue([OWN]).workflow_timeout == WorkflowTimeout(default=600, maximum=1800)


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("workflowTimeout: {default: 2000}", "8:18", "default 2000 is more than the maximum 1800"),
        ("workflowTimeout: {maximum: -1}", "8:28", "expected seconds"),
        ("workflowTimeout: {max: 10}", "8:19", "unknown key 'max' (did you mean 'maximum'?)"),
        ("workflowTimeout: 900", "8:18", "expected a mapping"),
    ],
)
def test_what_is_wrong_with_how_long_workflows_may_run(tmp_path: Path, line: str, place: str, message: str) -> None:
    path = write(tmp_path / "values.yaml", line)
    (error,) = errors_of(path)
    assert error.startswith(f"{path}:{place}: ")
    assert message in error


def test_other_catalogues_are_named_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    write(tmp_path / "more" / "site.yaml", "catalogues: [../values.yaml]", entry=ENTRY.replace("tool", "site"))
    path = write(tmp_path / "values.yaml", "catalogues: [more/site.yaml]")
    assert set(load_catalogue([path])) == {"tool", "site"}


def test_a_stage_that_two_files_describe(tmp_path: Path) -> None:
    write(tmp_path / "site.yaml")
    path = write(tmp_path / "values.yaml", "catalogues: [site.yaml]")
    (error,) = errors_of(path)
    assert error == f"{tmp_path}/site.yaml:2:3: stage 'tool' is already in {path}; remove one"


def test_a_named_catalogue_that_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "values.yaml", "catalogues: [site.yaml]")
    assert "cannot be read" in errors_of(path)[0]
