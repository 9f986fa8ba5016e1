"""`clara-wf`: the commands. What they do is in modules of their own, imported when needed."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from clara_ops.cli.project import DEFAULT_JOB, find_project
from clara_ops.contract.errors import ClaraError

FAILED = 1

Root = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the workflow files; found from the current folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

app = typer.Typer(
    name="clara-wf",
    help="Make, run and look after Clara workflows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console script. An error is one line and exit code 1; a wrong command line is 2, Ctrl-C is 130."""
    try:
        app()
    except ClaraError as error:
        print(f"clara-wf: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(FAILED)


@app.command("cs", hidden=True)
@app.command("create", hidden=True)
@app.command("create_stage")
def create_stage(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the stage: lower case letters, digits and '-'.")],
    root: Root = None,
    json: Json = False,
) -> None:
    """Add a stage to the catalogue, or the keys that its entry lacks. Also: create, cs.

    Example: clara-wf cs user-ai
    """
    from clara_ops.cli.create_stage import create_stage as create
    from clara_ops.cli.report import print_created, print_json

    created = create(find_project(root, Path.cwd()), name)
    if json:
        print_json(created)
    else:
        print_created(created, Console())


@app.command("test", hidden=True)
@app.command("test_workflow")
def test_workflow(
    workflow: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKFLOW_ID", help="Id or name of the workflow; recon-only, else organ-seg, if not given."
        ),
    ] = None,
    job: Annotated[
        str, typer.Argument(metavar="JOB_ID", help="Names the run and its folder; the default one is used again.")
    ] = DEFAULT_JOB,
    input_folder: Annotated[
        Path | None, typer.Option("--input", metavar="DIR", help="Files to run on; the workflow's sample if not given.")
    ] = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Run a workflow on this machine, stage by stage, with the pods that it has on a cluster. Also: test.

    Example: clara-wf test 1db65f99-c9b7-4329-ab9c-d519e0557638 --input ./my-ct-series
    """
    from clara_ops.cli.local_run import run_locally
    from clara_ops.cli.report import print_json, print_outcome
    from clara_ops.cli.workflows import find_workflow

    project = find_project(root, Path.cwd())
    outcome = run_locally(project, find_workflow(project, workflow), job, input_folder, Console(stderr=True))
    if json:
        print_json(outcome)
    else:
        print_outcome(outcome, Console())
    if not outcome.succeeded:
        raise typer.Exit(FAILED)


@app.command("validate")
def validate(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE|FOLDER...", help="Workflow files; the project's if not given.")
    ] = None,
    catalogues: Annotated[
        list[Path] | None,
        typer.Option("--catalogue", metavar="F", help="Catalogue file instead of the project's; may be repeated."),
    ] = None,
    listener_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also check AE titles and destinations of this listener configuration."),
    ] = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Check workflow files: all errors of all files, each with its place. Exit code 0 without errors, 1 with some.

    Example: clara-wf validate dags/workflows --listener-config helm/clara-platform/files/dicom-server-config.yaml
    """
    from clara_ops.cli.report import print_json, print_validation
    from clara_ops.cli.validate import validate as check

    found = check(paths or [], catalogues or [], listener_config, root)
    if json:
        print_json(found)
    else:
        print_validation(found, Console())
    if found.problems:
        raise typer.Exit(FAILED)


@app.command("import")
def import_workflow(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A Clara pipeline definition (YAML), or a MONAI clinical workflow (JSON)."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="Where to write it; dags/workflows if not given.")
    ] = None,
    workflow_id: Annotated[
        str | None, typer.Option("--id", metavar="UUID", help="The workflow's ID; a new one if not given.")
    ] = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Turn a workflow of Clara Deploy 0.4-0.8 or MONAI Deploy into ours, and say what has no counterpart.

    Example: clara-wf import liver-pipeline.yaml --output dags/workflows
    """
    from clara_ops.cli.import_workflow import import_workflow as import_file
    from clara_ops.cli.report import print_imported, print_json

    imported = import_file(file, output, workflow_id, root)
    if json:
        print_json(imported)
    else:
        print_imported(imported, Console())


if __name__ == "__main__":
    main()
