"""What can go wrong on the laptop."""

from clara_ops.contract.errors import ClaraError


class LaptopError(ClaraError):
    """The laptop's servers could not be started, or the demo did not end as it should."""


class ProgramDied(LaptopError):
    """A server that has to run stopped by itself."""


class NotInTime(LaptopError):
    """Something did not happen within the time it is given."""


class ResultWrong(LaptopError):
    """What came back to the PACS is not what was asked for."""
