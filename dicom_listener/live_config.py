"""The configuration in force: read at start, and again on SIGHUP without touching open associations."""

import logging
from pathlib import Path

from dicom_listener.config import Config
from dicom_listener.config_file import load_config
from dicom_listener.errors import ConfigError

log = logging.getLogger(__name__)


class LiveConfig:
    """`current` is replaced as a whole; whoever needs several values of one state reads it once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.current: Config = load_config(path)

    def reload(self) -> None:
        """Read the file again; a file with errors changes nothing and is logged."""
        try:
            loaded = load_config(self._path)
        except ConfigError as error:
            log.error("configuration not reloaded", extra={"reason": str(error)})
            return
        before, self.current = self.current, loaded
        fixed = [name for name, changed in _fixed_at_start(before, loaded).items() if changed]
        log.info("configuration reloaded", extra={"needs_restart": fixed})


def _fixed_at_start(before: Config, after: Config) -> dict[str, bool]:
    return {
        "dicom.scp.port": before.dicom.scp.port != after.dicom.scp.port,
        "dicom.scp.verification": before.dicom.scp.verification != after.dicom.scp.verification,
        "services.platform-endpoint": before.services != after.services,
        "clara.airflow": before.clara.airflow != after.clara.airflow,
        "clara.api": before.clara.api != after.clara.api,
        "clara.network": before.clara.network != after.clara.network,
    }
