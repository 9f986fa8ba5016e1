"""dag-factory in an environment of its own."""

from pathlib import Path

from clara_ops.laptop import setup

DAG_FACTORY = "dag-factory==1.1.0"
QUIET = {"DO_NOT_TRACK": "1", "AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY": "False"}


def make_peer(folder: Path) -> Path:
    """The folder `bin` of an environment with dag-factory and our own versions of everything else, made if need be."""
    uv, python = setup.find_uv(), folder / "bin" / "python"
    if python.exists():
        return python.parent
    setup.run([uv, "venv", "--quiet", "--python", str(setup.VENVS / "airflow" / "bin" / "python"), str(folder)])
    lock = setup.ROOT / "requirements" / "airflow.txt"
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    setup.run([*install, "--require-hashes", "--requirement", str(lock)])
    setup.run([*install, DAG_FACTORY])
    return python.parent
