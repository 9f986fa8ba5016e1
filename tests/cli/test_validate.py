"""`clara-wf validate`: all errors of all files at once, each at its place."""

from pathlib import Path

import pytest

from clara_ops.cli.errors import ProjectNotFound
from clara_ops.cli.validate import Validation, validate

from .conftest import ROOT

A, B, C, D = (f"{digit}b413e24-d018-4689-8c41-73272f6649d4" for digit in "7890")
ENTRY = """\
  {name}:
    image: {{repository: tool, tag: "1"}}
    stageName: {name}
    logName: /app/logs/{name}.log
    lockName: {name}.lock
    timeout: "60"
{more}"""
CATALOGUE = "stages:\n" + "".join(
    ENTRY.format(name=name, more=more)
    for name, more in {
        "reader": "    resources: {gpu: 0}\n    args: [{name: quick, type: flag}]\n",
        "ai": "    resources: {gpu: 1}\n",
        "writer": "",
        "root": "    securityContext: {runAsNonRoot: false, runAsUser: 0}\n",
    }.items()
)
SOUND = f"""\
{A}:
  name: "sound"
  stages: ["reader", "ai", "writer"]
  waitLocks: ["", "reader.lock", "ai.lock"]
  ioFolders: ["in", "reader/out", "ai/out", "writer/out"]
  args: ["--quick", "", ""]
"""
CONFIG = f"""\
dicom:
  scp: {{ae-titles: [{{ae-title: CT_AI}}, MR_AI]}}
  scu: {{destinations: [{{name: PACS}}]}}
workflows:
  - {{name: one, clara-ae-title: CT_AI, destination-name: PACS, workflow: {A}}}
  - {{name: two, clara-ae-title: MR_AI, workflow: sound}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one sound workflow, which is the current folder."""
    write(tmp_path, "helm/clara-workflow/values.yaml", CATALOGUE)
    write(tmp_path, "dags/workflows/sound.yaml", SOUND)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Path(name)


def check(*paths: Path, config: Path | None = None, catalogues: tuple[Path, ...] = ()) -> Validation:
    return validate(paths, catalogues, config, None)


def problems(*paths: Path, config: Path | None = None) -> list[str]:
    return [str(problem) for problem in check(*paths, config=config).problems]


def test_a_sound_project(project: Path) -> None:
    found = check()
    assert found.problems == ()
    assert found.files == ("dags/workflows/sound.yaml", "helm/clara-workflow/values.yaml")
    assert [(workflow.name, workflow.pod_security) for workflow in found.workflows] == [("sound", "restricted")]


def test_what_ships_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert problems(config=Path("helm/clara-platform/files/dicom-server-config.yaml")) == []


EVERYTHING = {
    "a.yaml": f"""\
id: {B}
name: everything
priority: urgent
stages:
  - {{stage: readr}}
  - {{stage: reader, name: second, args: --quik}}
  - {{stage: reader, name: third, resources: {{gpu: 1}}, afterr: second}}
  - {{stage: ai, name: prepare}}
""",
    "b.yaml": f"""\
{C}:
  name: "lines"
  stages: ["reader", "ai", "writer"]
  waitLocks: ["ai.lock", "", "ai.lok"]
  ioFolders: ["in", "reader/out", "../../etc", "writer/out"]
  args: ["--quick yes", "", ""]
  note: "?"
""",
    "c.yaml": f"""\
{A}:
  name: "lengths"
  stages: ["reader", "wroter"]
  waitLocks: ["", "reader.lock", ""]
  ioFolders: ["in", "out"]
  args: []
""",
    "d.yaml": f"""\
id: {D}
name: everything
stages:
  - {{stage: reader, name: a, after: c}}
  - {{stage: ai, name: b, args: [x]}}
  - {{stage: wirter, name: c}}
""",
    "e.yaml": "stages: [\n",
}


AT_ONCE = [
    ("w/a.yaml:3:11", "priority: expected one of 'lower', 'normal', 'higher' or 'immediate'; found 'urgent'"),
    ("w/a.yaml:5:13", "stage 'readr' is not in the catalogue (did you mean 'reader'?); add it: clara-wf cs readr"),
    ("w/a.yaml:6:41", "args of stage 'second': the stage has no option --quik (did you mean '--quick'?)"),
    ("w/a.yaml:7:51", "the catalogue gives stage 'reader' no GPU (gpu: 0); leave 'gpu' out, or change the catalogue"),
    ("w/a.yaml:7:55", "unknown key 'afterr' (did you mean 'after'?)"),
    ("w/a.yaml:8:23", "stage name 'prepare' is the name of a task that every workflow has; choose another"),
    ("w/b.yaml:4:15", "lock 'ai.lock' belongs to stage 'ai', which does not come before 'reader'; list the stages"),
    ("w/b.yaml:4:30", "no stage of this workflow has the lock 'ai.lok' (did you mean 'ai.lock'?)"),
    ("w/b.yaml:5:35", "folder '../../etc': must be a relative path inside the payload"),
    ("w/b.yaml:6:10", "args of stage 'reader': 'yes' is not an option; this stage takes options only"),
    ("w/b.yaml:7:3", "unknown key 'note' (known: args, ioFolders, name, stages, waitLocks)"),
    ("w/c.yaml:2:3", f"ID '{A}' belongs to the workflow in dags/workflows/sound.yaml:2; each workflow needs an ID"),
    ("w/c.yaml:3:22", "stage 'wroter' is not in the catalogue (did you mean 'writer'?)"),
    ("w/c.yaml:4:14", "waitLocks has 3 items; it needs 2, as many as stages"),
    ("w/c.yaml:5:14", "ioFolders has 2 items; it needs 3, one more than stages"),
    ("w/c.yaml:6:9", "args has 0 items; it needs 2, as many as stages"),
    ("w/d.yaml:1:1", "name 'everything' belongs to the workflow in w/a.yaml:1; each workflow needs a name of its own"),
    ("w/d.yaml:4:37", "stages wait for each other: a -> c -> b -> a; take one of them out"),
    ("w/d.yaml:6:13", "stage 'wirter' is not in the catalogue (did you mean 'writer'?)"),
    ("w/e.yaml:2:1", "not YAML: "),
]


def assert_problems(found: list[str], wanted: list[tuple[str, str]]) -> None:
    assert [line.partition(": ")[0] for line in found] == [place for place, _ in wanted], found
    for line, (place, message) in zip(found, wanted, strict=True):
        assert line.startswith(f"{place}: {message}"), line


def test_all_errors_of_all_files_come_at_once_each_at_its_place(project: Path) -> None:
    for name, text in EVERYTHING.items():
        write(project, f"w/{name}", text)
    assert_problems(problems(Path("dags"), Path("w")), AT_ONCE)


def test_a_folder_that_is_read_before_it_is_written(project: Path) -> None:
    text = SOUND.replace('"", "reader.lock", "ai.lock"', '"", "", "ai.lock"')
    assert_problems(
        problems(write(project, "w.yaml", text)),
        [
            (
                "w.yaml:5:21",
                "stage 'ai' reads folder 'reader/out', which stage 'reader' writes, but does not wait for it",
            )
        ],
    )


def test_errors_of_the_catalogue_are_told_too(project: Path) -> None:
    write(project, "helm/clara-workflow/values.yaml", CATALOGUE.replace("stageName: ai", "stagename: ai"))
    assert_problems(
        problems(),
        [
            ("dags/workflows/sound.yaml:3:22", "stage 'ai' is not in the catalogue"),
            ("helm/clara-workflow/values.yaml:11:5", "key 'stageName' is missing"),
            ("helm/clara-workflow/values.yaml:12:5", "unknown key 'stagename' (did you mean 'stageName'?)"),
        ],
    )


def test_another_catalogue(project: Path, tmp_path: Path) -> None:
    site = write(project, "site.yaml", "stages:\n" + ENTRY.format(name="tool", more=""))
    workflow = write(project, "w.yaml", f"id: {B}\nname: w\nstages: [{{stage: tool}}]\n")
    assert check(workflow, catalogues=(site,)).problems == ()
    assert_problems(problems(workflow), [("w.yaml:3:18", "stage 'tool' is not in the catalogue")])


def test_paths_that_hold_no_workflow(project: Path) -> None:
    (project / "empty").mkdir()
    (project / "inside").mkdir()
    (project / "inside" / "link.yaml").symlink_to(project / "dags" / "workflows" / "sound.yaml")
    assert_problems(
        problems(Path("empty"), Path("inside"), Path("nowhere.yaml")),
        [
            ("empty:1:1", "no workflow file (*.yaml, *.yml) in this folder"),
            ("inside/link.yaml:1:1", "leads out of the workflow folder; copy the file instead"),
            ("nowhere.yaml:1:1", "cannot be read: No such file or directory"),
        ],
    )


def test_files_outside_of_a_project_are_checked_with_the_shipped_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert problems(write(tmp_path, "w.yaml", f"id: {B}\nname: w\nstages: [{{stage: dicom-reader}}]\n")) == []
    with pytest.raises(ProjectNotFound):
        check()


def test_what_a_namespace_has_to_allow_and_why(project: Path) -> None:
    text = f"id: {B}\nname: w\nstages: [{{stage: reader}}, {{stage: root}}]\n"
    (workflow,) = check(write(project, "w.yaml", text)).workflows
    assert workflow.pod_security == "baseline"
    assert workflow.reasons == (
        "root: containers[base].securityContext.runAsNonRoot is not true",
        "root: containers[base].securityContext.runAsUser: 0",
    )


def test_the_mapping_of_a_listener(project: Path) -> None:
    assert problems(config=write(project, "listener.yaml", CONFIG)) == []
    text = CONFIG.replace("CT_AI, dest", "CT_IA, dest").replace("-name: PACS", "-name: PAX").replace(A, D)
    text = text.replace("workflow: sound", "workflow: sonud") + "  - {name: three}\n  - four\n"
    assert_problems(
        problems(config=write(project, "listener.yaml", text)),
        [
            ("listener.yaml:5:33", "AE title 'CT_IA' is not one of dicom.scp.ae-titles (did you mean 'CT_AI'?)"),
            ("listener.yaml:5:58", "destination 'PAX' is not one of dicom.scu.destinations (known: PACS)"),
            ("listener.yaml:5:73", f"no workflow has the ID '{D}' (did you mean '{A}'?)"),
            ("listener.yaml:6:50", "no workflow has the name 'sonud' (did you mean 'sound'?)"),
            ("listener.yaml:7:5", "key 'clara-ae-title' is missing; add it"),
            ("listener.yaml:7:5", "key 'workflow' is missing; add it"),
            ("listener.yaml:8:5", "expected an entry with name, clara-ae-title and workflow"),
        ],
    )


def test_a_mapping_may_name_a_workflow_of_the_project_that_was_not_asked_about(project: Path) -> None:
    workflow = write(project, "w.yaml", f"id: {B}\nname: w\nstages: [{{stage: reader}}]\n")
    assert problems(workflow, config=write(project, "listener.yaml", CONFIG)) == []


def test_a_mapping_that_means_two_workflows(project: Path) -> None:
    twin = write(project, "twin.yaml", f"id: {B}\nname: sound\nstages: [{{stage: reader}}]\n")
    assert_problems(
        problems(Path("dags"), twin, config=write(project, "listener.yaml", CONFIG)),
        [
            ("listener.yaml:6:50", "more than one workflow is 'sound': dags/workflows/sound.yaml:2 and twin.yaml:1"),
            ("twin.yaml:1:1", "name 'sound' belongs to the workflow in dags/workflows/sound.yaml:2"),
        ],
    )


@pytest.mark.parametrize("under", ["", "workflows:\n  "])
def test_destinations_of_a_workflow_are_those_of_the_listener(project: Path, under: str) -> None:
    lines = f"{B}: {{name: w, destinations: [PACS, PAKS], stages: [{{stage: reader}}]}}\n"
    workflow = write(project, "w.yaml", under + lines)
    place = "w.yaml:2:72" if under else "w.yaml:1:70"
    assert_problems(
        problems(workflow, config=write(project, "listener.yaml", CONFIG)),
        [(place, "destination 'PAKS' is not in listener.yaml (did you mean 'PACS'?)")],
    )


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{}", "1:1", "workflows: expected a list of entries"),
        ("- x", "1:1", "workflows: expected a list of entries"),
        ("workflows: none", "1:12", "workflows: expected a list of entries"),
        ("dicom: [", "2:1", "not YAML"),
    ],
)
def test_a_file_that_is_no_configuration(project: Path, text: str, place: str, message: str) -> None:
    config = write(project, "listener.yaml", text + "\n")
    assert_problems(problems(config=config), [(f"listener.yaml:{place}", message)])
