"""What can go wrong on the command line."""

from clara_ops.contract.errors import ClaraError


class CommandError(ClaraError):
    """Root of the errors of `clara-wf`."""


class ProjectNotFound(CommandError):
    """There are no workflow files here, nor in any folder above."""


class CatalogueFileError(CommandError):
    """The catalogue file is not of a form that an entry can be added to."""


class UnknownWorkflow(CommandError):
    """No workflow has this id or name."""


class UnknownDefinition(CommandError):
    """A file is no workflow of a platform that can be imported from."""


class NotImported(CommandError):
    """A workflow of another platform would become one of ours that has errors."""


class FileTaken(CommandError):
    """A file that would be written is there already."""


class InputMissing(CommandError):
    """There is nothing to run the workflow on."""


class SecretMissing(CommandError):
    """A stage takes a variable from a Secret, and whoever runs it here has not set it."""


class JobTaken(CommandError):
    """A local run of this id exists, or is running now."""


class PodRefused(CommandError):
    """The pod API did not take a pod."""
