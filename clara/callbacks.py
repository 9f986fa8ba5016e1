"""The decorator style: a program is one stage, so the functions that it decorates belong to one driver."""

from typing import TypeVar

from clara_ops.driver.callbacks import Driver, DriverStateError, Handler
from clara_ops.driver.lifecycle import RUNNING_STAGE
from clara_ops.driver.publish import Study
from clara_ops.driver.publish import publish as publish_study

H = TypeVar("H", bound=Handler)


class Program:
    """The callbacks of this program, and the driver that runs them."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._driver: Driver | None = None

    def startup_cb(self, function: H) -> H:
        """Decorates what runs first: `(driver)`."""
        return self._register("startup_handler", function)

    def prepare_cb(self, function: H) -> H:
        """Decorates what runs before the inputs are there: `(driver)`."""
        return self._register("prepare_handler", function)

    def execute_cb(self, function: H) -> H:
        """Decorates the stage's work: `(driver, payload)`."""
        return self._register("execute_handler", function)

    def cleanup_cb(self, function: H) -> H:
        """Decorates what runs after the work, also after one that failed: `(driver)`."""
        return self._register("cleanup_handler", function)

    def error_cb(self, function: H) -> H:
        """Decorates what is told of an error: `(driver, error)` or `(result, message, entry_point, kind)`."""
        return self._register("error_handler", function)

    def start(self) -> None:
        """Run the callbacks; leaves the process with the stage's exit code when the stage fails."""
        if self._driver is not None:
            raise DriverStateError("a program runs one stage; clara.start() was called before")
        self._driver = Driver(**self._handlers)
        self._driver.start()

    def wait_for_completion(self) -> bool:
        """True once the callbacks have run."""
        if self._driver is None:
            raise DriverStateError("the stage was not started; call clara.start() first")
        return self._driver.wait_for_completion()

    def _register(self, name: str, function: H) -> H:
        if name in self._handlers:
            raise DriverStateError(f"{function.__name__}: {self._handlers[name].__name__} has this role already")
        self._handlers[name] = function
        return function


def publish(study: Study, model: str | None = None) -> None:
    """Publish files for the render server: a file, a folder, or several, made by the model of that name.

    Raises:
        DriverStateError: called outside of a handler, or in a thread that it started: use Driver.publish.
    """
    stage = RUNNING_STAGE.get(None)
    if stage is None:
        raise DriverStateError("clara.publish is for handlers, in the thread that they are called in")
    publish_study(stage.folders, study, model)


def report_progress(percent: float, message: str = "") -> None:
    """Say how far the stage is, 0 to 100 percent.

    Raises:
        DriverStateError: called outside of a handler, or in a thread that it started: use Driver.report_progress.
    """
    stage = RUNNING_STAGE.get(None)
    if stage is None:
        raise DriverStateError("clara.report_progress is for handlers, in the thread that they are called in")
    stage.progress(percent, message)


_program = Program()
startup_cb = _program.startup_cb
prepare_cb = _program.prepare_cb
execute_cb = _program.execute_cb
cleanup_cb = _program.cleanup_cb
error_cb = _program.error_cb
start = _program.start
wait_for_completion = _program.wait_for_completion
