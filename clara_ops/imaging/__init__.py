"""Volumes and geometry: DICOM series to volumes, volumes to DICOM objects. All coordinates are LPS millimetres."""
