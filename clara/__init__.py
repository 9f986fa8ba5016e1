"""Clara Deploy's Python SDK, as far as a stage uses it; both of its styles work.

Decorators:

    import clara

    @clara.execute_cb
    def execute(driver, payload):
        ...

    clara.start()
    clara.wait_for_completion()

Handlers: `from clara import Driver, Payload, Error`, then `Driver(execute_handler=execute)`, `.start()`,
`.wait_for_completion()`. What the handlers are given is described in `clara_ops.driver.callbacks.Driver`.
"""

from clara.callbacks import (
    cleanup_cb,
    error_cb,
    execute_cb,
    prepare_cb,
    publish,
    report_progress,
    start,
    startup_cb,
    wait_for_completion,
)
from clara_ops.contract.errors import BadInput, NothingToDo
from clara_ops.driver.callbacks import Driver, Error, Payload, PayloadEntry

__all__ = [
    "BadInput",
    "Driver",
    "Error",
    "NothingToDo",
    "Payload",
    "PayloadEntry",
    "cleanup_cb",
    "error_cb",
    "execute_cb",
    "prepare_cb",
    "publish",
    "report_progress",
    "start",
    "startup_cb",
    "wait_for_completion",
]
