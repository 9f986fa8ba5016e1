"""De-identification of DICOM objects (PS3.15 Annex E): the standard's tables as data, and what carries them out."""
