"""The Secrets that the pods of a local run take values from, made of the variables of whoever runs it."""

from collections.abc import Mapping

from clara_ops.cli.errors import SecretMissing
from clara_ops.workflow.fields import SecretKey
from clara_ops.workflow.workflow import Workflow


def secrets_of(workflow: Workflow, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Keys and values of each Secret, by its name: the value of a variable is that of the same name in `environ`.

    Raises:
        SecretMissing: with every variable that has to be set.
    """
    secrets: dict[str, dict[str, str]] = {}
    missing: list[str] = []
    for stage in workflow.stages:
        for variable, value in stage.env.items():
            if not isinstance(value, SecretKey):
                continue
            if environ.get(variable):
                secrets.setdefault(value.secret, {})[value.key] = environ[variable]
            else:
                missing.append(
                    f"stage {stage.name!r} takes {variable} from key {value.key!r} of Secret {value.secret!r}; "
                    f"here, set {variable} in the environment of this command"
                )
    if missing:
        raise SecretMissing("; ".join(missing))
    return secrets
