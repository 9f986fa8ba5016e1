import os
import threading
from pathlib import Path

from clara_ops.driver import outputs


def test_begin_empties_and_hides(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "old", target_is_directory=True)
    partial = outputs.begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [partial.name]
    assert partial.name.startswith(".")


def test_emptying_never_follows_a_link(tmp_path: Path) -> None:
    (outside := tmp_path / "outside").mkdir()
    (outside / "precious").touch()
    (folder := tmp_path / "output").mkdir()
    (folder / "link").symlink_to(outside, target_is_directory=True)
    outputs.empty(folder)
    assert (outside / "precious").exists()
    assert not list(folder.iterdir())


def test_reveal_keeps_folders_and_merges_with_what_is_there(tmp_path: Path) -> None:
    partial = outputs.begin(tmp_path)
    (partial / "series").mkdir()
    (partial / "series" / "new.dcm").write_text("new")
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "direct.dcm").write_text("direct")
    outputs.reveal(partial)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert found == {"series", "series/new.dcm", "series/direct.dcm"}


def test_a_reader_that_sees_a_header_finds_whole_data(tmp_path: Path) -> None:
    partial = outputs.begin(tmp_path)
    for number in range(200):
        (partial / f"{number}.mhd").write_text(f"ElementDataFile = {number}.raw")
        (partial / f"{number}.raw").write_bytes(b"x" * 1000)
    broken: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            for header in tmp_path.glob("*.mhd"):
                data = header.with_suffix(".raw")
                if not data.exists() or data.stat().st_size != 1000:
                    broken.append(header.name)

    reader = threading.Thread(target=read)
    reader.start()
    outputs.reveal(partial)
    done.set()
    reader.join()
    assert broken == []
    assert len(list(tmp_path.glob("*.mhd"))) == 200


def test_renaming_order_is_data_then_headers_then_documents(tmp_path: Path, monkeypatch: object) -> None:
    partial = outputs.begin(tmp_path)
    for name in ("result.json", "a.mhd", "a.raw", "b.dcm"):
        (partial / name).touch()
        os.utime(partial / name, (0, 0))
    seen: list[str] = []
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        seen.append(self.name)
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)  # type: ignore[attr-defined]
    outputs.reveal(partial)
    assert seen == ["a.raw", "b.dcm", "a.mhd", "result.json"]


def test_source_maps_follow_volumes_of_their_name(tmp_path: Path) -> None:
    inputs, results = tmp_path / "in", tmp_path / "out"
    (inputs / "producer").mkdir(parents=True)
    results.mkdir()
    (inputs / "producer" / "1.2.3.source.json").write_text("from the reader")
    (inputs / "producer" / "1.2.4.source.json").write_text("from the reader")
    (inputs / "producer" / "1.2.5.source.json").write_text("from the reader")
    for name in ("1.2.3.mhd", "1.2.4.mhd", "other.mhd"):
        (results / name).touch()
    (results / "1.2.4.source.json").write_text("the stage's own")
    outputs.copy_source_maps(inputs, results)
    found = {path.name: path.read_text() for path in results.glob("*.json")}
    assert found == {"1.2.3.source.json": "from the reader", "1.2.4.source.json": "the stage's own"}
