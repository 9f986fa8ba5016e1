import json
import stat
from pathlib import Path

import pytest

from clara_ops.deid.errors import KeyMapError
from clara_ops.deid.key_map import check_key_map, write_key_map
from clara_ops.deid.pseudonyms import Subject


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    write_key_map(path, {"42": Subject("ANON-X", -7)}, {"1.2.3": "2.25.1"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "patients": [{"original": "42", "patient_id": "ANON-X", "shift_days": -7}],
        "uids": {"1.2.3": "2.25.1"},
    }
    with pytest.raises(KeyMapError, match="cannot be written"):
        write_key_map(path, {}, {})


def test_it_may_not_lie_where_it_would_be_delivered_or_overwrite(tmp_path: Path) -> None:
    (output := tmp_path / "out").mkdir()
    check_key_map(tmp_path / "map.json", output)
    (tmp_path / "there.json").touch()
    for path in (tmp_path / "there.json", output / "map.json", tmp_path / "nowhere" / "map.json"):
        with pytest.raises(KeyMapError):
            check_key_map(path, output)
