"""The log format of stage containers."""

import logging
import sys
import time


def log_to_stdout(level: int = logging.INFO) -> None:
    """One line a record on stdout: UTC time, level, logger, message. Does nothing where logging is set up already."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
