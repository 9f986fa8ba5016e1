"""From volumes and label tables to DICOM objects."""
