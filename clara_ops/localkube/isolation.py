"""Whether this machine gives containers mounts of their own, found out by starting one."""

import logging
import tempfile

from clara_ops.localkube import process
from clara_ops.localkube.errors import StateError
from clara_ops.localkube.process import Launch
from clara_ops.localkube.volumes import Mount

_log = logging.getLogger(__name__)


async def find_isolation(wanted: str) -> bool:
    """Whether containers run in a mount namespace; `wanted` is auto, namespaces or none.

    Raises:
        StateError: namespaces are wanted, and cannot be had.
    """
    if wanted == "none":
        return False
    with tempfile.TemporaryDirectory() as folder:
        probe = Launch(
            folder=folder,
            argv=["/bin/sh", "-c", ":"],
            env={},
            cwd="/",
            isolate=True,
            read_only_root=True,
            mounts=[Mount(folder, "/localkube/probe", True)],
            folders=[],
            memory=None,
        )
        started, runs = await process.start(probe)
        end = await started.wait()
    if runs:
        return True
    reason = end.message if end is not None else "killed"
    if wanted == "namespaces":
        raise StateError(f"--isolation namespaces: this kernel gives us no mount namespace ({reason}); use none")
    _log.warning("no mount namespaces here (%s): only stages that use the driver run, through CLARA_APP_DIR", reason)
    return False
