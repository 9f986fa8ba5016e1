"""Watch the stubs: the processes in which Triton's python backend runs models. Triton does not notice that one died."""

from pathlib import Path

from clara_ops.inference.installation import STUB

_PROC = Path("/proc")


class StubWatch:
    """Remembers which model each child of a tritonserver runs: a dead process no longer says."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._models: dict[int, str] = {}

    def models_that_died(self) -> set[str]:
        """Names of the models whose process died since the last call."""
        died = set()
        for child in self._children():
            model = _model_of(child)
            if model is not None:
                self._models[child] = model
            elif child in self._models:
                died.add(self._models.pop(child))
        return died

    def _children(self) -> set[int]:
        """Children of the server, those that are dead and not yet waited for included."""
        lists = (_PROC / str(self._server) / "task").glob("*/children")
        return {int(child) for children in lists for child in _read(children).split()}


def _model_of(process: int) -> str | None:
    """The model that a living stub runs: its first argument is `<repository>/<model>/<version>/model.py`."""
    program, *arguments = _read(_PROC / str(process) / "cmdline").split("\0")
    return Path(arguments[0]).parts[-3] if Path(program).name == STUB else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
