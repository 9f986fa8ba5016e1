"""The journal: what was received, decided, triggered and delivered, in SQLite."""

from dicom_listener.journal.store import Journal

__all__ = ["Journal"]
