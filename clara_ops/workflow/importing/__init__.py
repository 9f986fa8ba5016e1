"""Turns workflows of other platforms into ours: pipeline definitions of Clara Deploy, clinical workflows of MONAI."""
