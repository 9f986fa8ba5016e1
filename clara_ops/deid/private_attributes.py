"""Private attributes: all go but those that a site has listed as safe (PS3.15 section E.3.10)."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from clara_ops.deid.errors import AllowListError

_LINE = re.compile(r"\(?([0-9A-Fa-f]{3}[13579BDFbdf]),\s*(?:xx|XX)([0-9A-Fa-f]{2})\)?[\s,]+(\S.*)")


@dataclass(frozen=True)
class AllowList:
    """Private attributes that may stay.

    Attributes:
        safe: (group, low byte of the element, private creator) of each; the block that a creator reserves varies.
    """

    safe: frozenset[tuple[int, int, str]] = frozenset()

    def allows(self, tag: BaseTag, creator: str) -> bool:
        """Whether a private attribute may stay."""
        return (tag.group, tag.element & 0xFF, creator) in self.safe


def read_allow_list(path: Path) -> AllowList:
    """Read a list of private attributes, one a line as the standard writes them: `(0019,xx0C) SIEMENS MR HEADER`.

    Empty lines, and lines that start with `#`, say nothing.

    Raises:
        AllowListError: the file cannot be read, or a line is of another form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AllowListError(f"{path}: cannot be read ({error}); name a text file of private attributes") from error
    safe = set()
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise AllowListError(
                f"{path}:{number}: {text!r} is no private attribute; write it as '(0019,xx0C) SIEMENS MR HEADER', "
                "with an odd group and 'xx' for the block"
            )
        group, element, creator = match.groups()
        safe.add((int(group, 16), int(element, 16), creator.strip()))
    return AllowList(frozenset(safe))


def remove_private(dataset: Dataset, allow_list: AllowList) -> None:
    """Remove the private attributes of one dataset (not of its sequences) that are not allowed, and idle creators."""
    private = [tag for tag in dataset.keys() if tag.is_private]  # noqa: SIM118 - iterating a dataset decodes it
    reserving = {tag: _creator_tag(tag) for tag in private if tag.element > 0xFF}
    used = set()
    for tag, creator_tag in reserving.items():
        if allow_list.allows(tag, _creator(dataset, creator_tag)):
            used.add(creator_tag)
        else:
            del dataset[tag]
    for tag in private:
        if tag not in reserving and tag not in used:
            del dataset[tag]


def _creator_tag(tag: BaseTag) -> BaseTag:
    return Tag(tag.group, tag.element >> 8)


def _creator(dataset: Dataset, creator_tag: BaseTag) -> str:
    return str(dataset[creator_tag].value or "").strip() if creator_tag in dataset else ""
