"""What the image holds is what was tested."""

import re
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def pins(name: str) -> dict[str, str]:
    """Package and version of every pin of a lock file, with its hashes."""
    text = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    lines = (line.split(maxsplit=1) for line in text.splitlines() if "==" in line)
    return {first: re.sub(r"\s+", " ", rest) for first, rest in lines}


def test_the_image_has_the_versions_that_the_tests_ran_with() -> None:
    """`make locks` writes image.txt within the bounds of clara.txt, without the tools of development."""
    image, tested = pins("image.txt"), pins("clara.txt")
    assert len(image) > 40
    assert {pin: tested.get(pin) for pin in image} == image
    assert not {pin for pin in image if pin.startswith(("pytest", "mypy", "ruff", "hypothesis"))}
