"""The DICOM adapter: store durably, decide when a series is complete, trigger its workflow, deliver results."""
