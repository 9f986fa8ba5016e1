"""Journal and disk are compared, and mended where something is left to mend them with."""

import pytest

from dicom_listener.command import main
from tests.listener.peers import make_series, send, wait_for


@pytest.fixture
def stopped(make_listener, airflow):
    """A listener that has received three instances and started a run on them."""
    listener = make_listener()
    series = make_series(3)
    send(listener, series)
    wait_for(lambda: airflow.runs)
    listener.stop()
    listener.series_sent = series
    return listener


def repair(listener, capsys, *options) -> tuple[int, str]:
    places = ["--data", str(listener.data), "--journal", str(listener.folder / "journal" / "journal.db")]
    status = main(["repair", *places, *options])
    return status, capsys.readouterr().out


def spooled(listener):
    return sorted(file for file in (listener.data / "spool").rglob("*.dcm") if file.stat().st_size)


def received(listener):
    return sorted((listener.data / "payloads").glob("*/received/*/*.dcm"))


def test_what_agrees_is_left_alone(stopped, capsys):
    assert repair(stopped, capsys) == (0, "journal and disk agree\n")


def test_a_lost_file_is_linked_again_from_its_payload(stopped, capsys):
    before = spooled(stopped)[0].read_bytes()
    spooled(stopped)[0].unlink()
    status, said = repair(stopped, capsys, "--check")
    assert (status, "the file is gone" in said, len(spooled(stopped))) == (1, True, 2)
    status, said = repair(stopped, capsys)
    assert (status, "linked again from payload" in said) == (0, True)
    assert spooled(stopped)[0].read_bytes() == before
    assert repair(stopped, capsys) == (0, "journal and disk agree\n")


def test_what_is_lost_for_good_is_named_and_taken_when_it_is_sent_again(stopped, capsys, airflow):
    for file in (*spooled(stopped), *received(stopped)):
        file.unlink()
    status, said = repair(stopped, capsys)
    assert (status, said.count("noted as lost")) == (0, 3)
    stopped.start()
    assert send(stopped, stopped.series_sent) == [0, 0, 0]
    wait_for(lambda: len(airflow.runs) == 2)
    assert len(spooled(stopped)) == 3


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-2], "the journal says"),
        (lambda content: bytes(len(content)), "cannot be read"),
        (lambda content: content.replace(b".1", b".7"), "holds another instance"),
    ],
)
def test_a_damaged_file_is_noticed(stopped, capsys, damage, said):
    file = spooled(stopped)[0]
    content = damage(file.read_bytes())
    file.unlink()
    file.write_bytes(content)
    status, found = repair(stopped, capsys)
    assert (status, said in found, "linked again" in found) == (0, True, True)


def test_a_file_that_nobody_vouches_for_is_told(stopped, capsys):
    (stopped.data / "spool" / "00000001" / "stray.dcm").write_bytes(b"half an image")
    status, said = repair(stopped, capsys)
    assert (status, "stray.dcm: was never acknowledged; the listener sets it aside" in said) == (0, True)


def test_beside_a_running_listener_it_refuses(make_listener, capsys):
    listener = make_listener()
    assert repair(listener, capsys)[0] != 0


def test_without_a_journal_it_makes_none(tmp_path, capsys):
    assert main(["repair", "--data", str(tmp_path), "--journal", str(tmp_path / "none.db")]) != 0
    assert "there is no journal" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
