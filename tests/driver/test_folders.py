from pathlib import Path

import pytest

from clara_ops.contract.errors import BadInput
from clara_ops.driver.folders import FolderError, StageFolders


def test_the_container_s_folders_lie_below_the_application_folder(app: Path) -> None:
    (app / "payload.json").write_text("{}")
    found = StageFolders.from_environment({"CLARA_APP_DIR": str(app), "CLARA_LOCK_NAME": "/app/locks/x.lock"})
    assert found == StageFolders(
        app / "input", app / "output", app / "locks", app / "logs", app / "publish", app / "dicom", app / "payload.json"
    )


def test_what_is_not_mounted_is_none(app: Path) -> None:
    for name in ("locks", "logs", "publish", "dicom"):
        (app / name).rmdir()
    found = StageFolders.from_environment({"CLARA_APP_DIR": str(app)})
    assert found == StageFolders(app / "input", app / "output")


def test_a_catalogue_s_own_folder_names_count(app: Path) -> None:
    for name in ("in", "out", "my-locks", "my-logs"):
        (app / name).mkdir()
    found = StageFolders.from_environment(
        {
            "CLARA_APP_DIR": str(app),
            "HOLOSCAN_INPUT_PATH": f"{app}/in",
            "HOLOSCAN_OUTPUT_PATH": f"{app}/out",
            "CLARA_LOCK_NAME": f"{app}/my-locks/x.lock",
            "CLARA_LOG_NAME": f"{app}/my-logs/x.log",
        }
    )
    assert (found.input, found.output, found.locks, found.logs) == (
        app / "in",
        app / "out",
        app / "my-locks",
        app / "my-logs",
    )


def test_a_path_of_another_container_never_wins(app: Path, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere" / "input").mkdir(parents=True)
    found = StageFolders.from_environment({"CLARA_APP_DIR": str(app), "HOLOSCAN_INPUT_PATH": str(elsewhere)})
    assert found.input == app / "input"


def test_a_missing_input_is_named(app: Path) -> None:
    (app / "input").rmdir()
    with pytest.raises(FolderError, match=r"app/input: no such folder; mount the payload there"):
        StageFolders.from_environment({"CLARA_APP_DIR": str(app)})


def test_by_hand_the_output_is_made_and_the_input_is_not(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert StageFolders.by_hand(tmp_path / "in", tmp_path / "new" / "out").output.is_dir()
    with pytest.raises(FolderError, match="missing: no such folder"):
        StageFolders.by_hand(tmp_path / "missing", tmp_path / "out")


def test_volumes_are_found_at_any_depth_but_not_unfinished_ones(folders: StageFolders) -> None:
    for name in ("b/2.mhd", "a/1.mhd", "3.mhd", ".partial/4.mhd", "a/1.raw"):
        path = folders.input / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [path.relative_to(folders.input).as_posix() for path in folders.volumes()] == ["3.mhd", "a/1.mhd", "b/2.mhd"]


def test_volumes_are_found_behind_links(folders: StageFolders, tmp_path: Path) -> None:
    """Where the kernel allows no mounts, every mount point is a link."""
    (producer := tmp_path / "ai-vnet" / "output").mkdir(parents=True)
    (producer / "1.mhd").touch()
    (folders.input / "ai-vnet").symlink_to(producer)
    assert folders.volumes() == (folders.input / "ai-vnet" / "1.mhd",)


def test_no_volume_is_bad_input(folders: StageFolders) -> None:
    with pytest.raises(BadInput, match="holds no volume"):
        folders.volumes()
