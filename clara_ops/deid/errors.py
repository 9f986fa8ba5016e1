"""What de-identification refuses, each by a name of its own. No message holds a value of the object."""

from clara_ops.contract.errors import BadInput


class DeidError(BadInput):
    """The root of what `clara_ops.deid` raises: running again cannot help."""


class MissingKey(DeidError):
    """No key, without which nothing can be mapped back: CLARA_DEID_KEY is not set, or too short to keep a secret."""


class BrokenObject(DeidError):
    """A DICOM file that cannot be read or rewritten as a whole."""


class ConflictingObjects(DeidError):
    """Two files with one SOP Instance UID and different content."""


class AllowListError(DeidError):
    """A file of private attributes to keep that cannot be read."""


class LayoutError(DeidError):
    """A file of places with burned-in text that cannot be read."""


class KeyMapError(DeidError):
    """A place for the key map where it would be delivered, or would overwrite something."""


class NothingToDeidentify(DeidError):
    """A folder without a DICOM object."""


class IdentityLeft(DeidError):
    """Values or pixels that still identify the patient, or may do so, and a policy that refuses them."""
