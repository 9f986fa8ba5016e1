"""What can go wrong around Triton, each by a name of its own."""

from clara_ops.contract.errors import ClaraError


class InferenceError(ClaraError):
    """The root of what `clara_ops.inference` raises; a stage that ends with one of them is run again."""


class TritonNotInstalled(InferenceError):
    """The environment of the server is not there, not complete, or made for another Python."""


class GlibcTooOld(InferenceError):
    """The C library of this machine is older than the one that tritonserver was built for."""


class PortTaken(InferenceError):
    """Another program listens on a port that tritonserver was told to use."""


class TritonStartError(InferenceError):
    """tritonserver ended, or did not become ready in time."""


class TritonUnavailable(InferenceError):
    """No Triton answers at the address, or it went away and did not come back in time."""


class ModelUnavailable(InferenceError):
    """Triton runs, but does not serve the model."""


class ModelNotDescribed(InferenceError):
    """The model's configuration does not say what it takes and what its output means."""


class InferenceFailed(InferenceError):
    """Triton took the request and the model failed on it, or answered something that cannot be right."""
