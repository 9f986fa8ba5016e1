"""Rules over what was received: what runs, what waits for a person, what does not, and why."""

import json
import time

import pytest
from pydantic import ValidationError

from dicom_listener.attributes import AttributeSet, TypedText, attribute_sets
from dicom_listener.command import main
from dicom_listener.config import Config
from dicom_listener.rules import asked_attributes, choose
from tests.listener.peers import WORKFLOW, configuration, make_series, send, wait_for

OTHER = "8371285c-8ea8-41cd-958e-44e5664c6ec3"
THIN = {"attribute": "SliceThickness", "op": "le", "value": 3}
ABDOMEN = {"attribute": "SeriesDescription", "op": "contains", "value": "abdomen"}
TWO = [
    {"name": name, "clara-ae-title": "CT_AI", "workflow": workflow}
    for name, workflow in (("organ-seg", WORKFLOW), ("other", OTHER))
]


def config_with(rules, **changes):
    return Config.model_validate(configuration("http://127.0.0.1:1", 11112, rules=rules, **changes))


def thick(series, thickness):
    for instance in series:
        instance.SliceThickness = thickness
    return series


class TestChoice:
    def choice(self, rule, *sets, facts=None, **options):
        rules = {"organ-seg": {"when": rule, **options}}
        return choose(config_with(rules), "CT_AI", facts or {"modality": "CT"}, sets)

    def test_what_every_instance_meets_starts(self):
        choice = self.choice(THIN, AttributeSet({"SliceThickness": "2.5"}, 3))
        assert [start.workflow for start in choice.starts] == [WORKFLOW]
        assert choice.remark == ""

    def test_what_no_instance_meets_does_not_and_says_why(self):
        choice = self.choice(THIN, AttributeSet({"SliceThickness": "5"}, 3))
        assert (choice.starts, choice.undecided) == ([], ())
        assert choice.remark == "organ-seg: SliceThickness is '5', not le 3"

    def test_a_missing_attribute_is_neither(self):
        choice = self.choice(THIN, AttributeSet({}, 3))
        assert choice.starts == []
        assert choice.remark == "organ-seg cannot be decided: SliceThickness is missing"

    def test_instances_that_disagree_decide_nothing(self):
        choice = self.choice(THIN, AttributeSet({"SliceThickness": "1"}, 20), AttributeSet({"SliceThickness": "8"}, 2))
        assert choice.undecided
        assert "20 of 22 instances meet it, others do not: SliceThickness is '8', not le 3" in choice.remark

    @pytest.mark.parametrize(("undecided", "starts", "waits"), [("hold", 0, 1), ("run", 1, 0), ("skip", 0, 0)])
    def test_what_to_do_with_the_undecided_is_said(self, undecided, starts, waits):
        choice = self.choice(THIN, AttributeSet({}, 1), undecided=undecided)
        assert (len(choice.starts), len(choice.undecided)) == (starts, waits)

    def test_each_entry_is_judged_by_itself(self):
        config = config_with({"other": {"when": THIN}}, workflows=TWO)
        choice = choose(config, "CT_AI", {}, [AttributeSet({"SliceThickness": "5"}, 1)])
        assert [start.workflow for start in choice.starts] == [WORKFLOW]
        assert choice.remark.startswith("other: ")

    def test_facts_need_no_file(self):
        rule = {"any": [{"attribute": "instances", "op": "ge", "value": 20}, {"not": ABDOMEN}]}
        assert asked_attributes(config_with({"organ-seg": {"when": rule}}), "CT_AI") == {
            "instances",
            "SeriesDescription",
        }
        assert self.choice(rule, AttributeSet({}, 30), facts={"instances": 30}).starts

    def test_typed_text_is_seen_by_rules_and_not_told_in_reasons(self):
        typed = AttributeSet({"SeriesDescription": TypedText("Thorax Mr. Smith")}, 1)
        choice = self.choice(ABDOMEN, typed)
        assert (choice.starts, "Smith" in choice.remark) == ([], False)
        typed = AttributeSet({"SeriesDescription": TypedText("ABDOMEN native")}, 1)
        assert self.choice(ABDOMEN, typed).starts


class TestAttributes:
    def stored(self, make_listener, series):
        listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 60}])
        send(listener, series)
        return [file for file in sorted((listener.data / "spool").rglob("*.dcm")) if file.stat().st_size]

    def test_are_read_from_stored_files_and_counted(self, make_listener):
        series = thick(make_series(3), "2.5")
        series[2].SliceThickness = "5"
        series[0].ImageType = series[1].ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        for instance in series:
            instance.SpecificCharacterSet = "ISO_IR 192"
            instance.SeriesDescription = "Oberbäuche 腹部"
        files = self.stored(make_listener, series)
        sets = attribute_sets(files, {"SliceThickness", "ImageType", "Rows", "SeriesDescription", "modality"})
        found = {item.values["SliceThickness"]: item for item in sets}
        assert {thickness: item.instances for thickness, item in found.items()} == {"2.5": 2, "5": 1}
        assert found["2.5"].values["ImageType"] == "ORIGINAL\\PRIMARY\\AXIAL"
        assert "ImageType" not in found["5"].values
        assert found["5"].values["Rows"] == 8
        assert str.__str__(found["5"].values["SeriesDescription"]) == "Oberbäuche 腹部"

    def test_a_file_that_is_gone_has_none(self, tmp_path):
        assert attribute_sets([tmp_path / "gone.dcm"], {"Rows"}) == (AttributeSet({}, 1),)


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("PatientName", "may identify a patient"),
        ("PatientBirthDate", "may identify a patient"),
        ("AccessionNumber", "may identify a patient"),
        ("ReferringPhysicianName", "holds PN"),
        ("PixelData", "holds OB or OW"),
        ("RequestAttributesSequence", "holds SQ"),
        ("SliceThicknes", "neither a fact"),
    ],
)
def test_what_a_rule_may_not_ask_for_is_refused(attribute, said):
    with pytest.raises(ValidationError, match=said):
        config_with({"organ-seg": {"when": {"attribute": attribute, "op": "exists", "value": True}}})


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"organ-sag": {"when": THIN}}, r"clara\.rules\.organ-sag: no entry of workflows: has this name"),
        ({"organ-seg": {"when": {"attribute": "Rows", "op": "is", "value": 1}}}, "'is' is not one of eq"),
        ({"organ-seg": {"when": THIN, "undecided": "ask"}}, "'hold', 'run' or 'skip'"),
    ],
)
def test_an_error_in_a_rule_is_named(rules, said):
    with pytest.raises(ValidationError, match=said):
        config_with(rules)


def test_what_meets_its_rule_runs_and_what_does_not_is_shown_with_the_reason(make_listener, airflow):
    listener = make_listener(rules={"organ-seg": {"when": THIN}})
    thin, fat = thick(make_series(2), "1"), thick(make_series(2), "5")
    send(listener, thin + fat)
    rows = wait_for(
        lambda: (found := listener.series()) and all(row["state"] != "receiving" for row in found) and found
    )
    states = {row["series_uid"]: (row["state"], row["reason"]) for row in rows}
    assert states[thin[0].SeriesInstanceUID][0] == "complete"
    state, reason = states[fat[0].SeriesInstanceUID]
    assert (state, reason.partition("; ")[2]) == ("discarded", "organ-seg: SliceThickness is '5', not le 3")
    wait_for(lambda: len(airflow.runs) == 1)
    evidence = listener.get(f"/v1/series/{fat[0].SeriesInstanceUID}")["evidence"]
    assert [rule["met"] for rule in evidence["rules"]] == [False]


def test_an_undecided_series_waits_for_a_person(make_listener, airflow):
    listener = make_listener(rules={"organ-seg": {"when": THIN}})
    series = make_series(2)
    uid = series[0].SeriesInstanceUID
    send(listener, series)
    row = wait_for(lambda: next((row for row in listener.series() if row["state"] == "held"), None))
    assert row["reason"].endswith("organ-seg cannot be decided: SliceThickness is missing")
    assert airflow.runs == {}
    answer = listener.ask("POST", f"/v1/series/{uid}/release", params={"ae_title": "CT_AI"})
    assert len(answer.json()) == 1
    wait_for(lambda: len(airflow.runs) == 1)


class TestReplay:
    @pytest.fixture
    def replay(self, make_listener, airflow, write_config, capsys):
        listener = make_listener()
        self.thin, self.fat = (thick(make_series(2), value)[0].SeriesInstanceUID for value in ("1", "5"))
        send(listener, thick(make_series(2, self.thin), "1") + thick(make_series(2, self.fat), "5"))
        wait_for(lambda: len(airflow.runs) == 2)

        def run(*options, **changes):
            config = write_config(**changes) / "config.yaml"
            places = ["--data", str(listener.data), "--journal", str(listener.folder / "journal" / "journal.db")]
            status = main(["replay", "--config", str(config), *places, *options])
            return status, capsys.readouterr()

        return run

    def test_tells_what_would_have_run_without_touching_anything(self, replay, airflow):
        status, said = replay("--json", "--all", rules={"organ-seg": {"when": THIN}})
        rows = {row["group"]: row for row in map(json.loads, said.out.splitlines())}
        assert status == 0
        assert rows[self.thin]["differs"] is False
        assert rows[self.fat]["then"] == {"state": "complete", "workflows": [WORKFLOW]}
        assert rows[self.fat]["now"]["state"] == "discarded"
        assert "SliceThickness is '5'" in rows[self.fat]["now"]["remark"]
        assert len(airflow.posts) == 2

    def test_shows_a_person_only_what_differs(self, replay):
        status, said = replay(rules={"organ-seg": {"when": THIN}})
        assert (status, self.thin in said.out, self.fat in said.out) == (0, False, True)
        assert said.out.splitlines()[-1] == "2 groups in this time, 1 of them would have ended otherwise"

    def test_knows_ae_titles_that_are_gone_and_workflows_that_are_new(self, replay):
        gone = {"ae_titles": ["NEW"], "workflows": [], "sources": []}
        assert "CT_AI is not one of our AE titles" in replay(**gone)[1].out
        assert f"now:  complete: {', '.join(sorted((WORKFLOW, OTHER)))}" in replay(workflows=TWO)[1].out

    def test_looks_no_further_back_than_asked(self, replay):
        time.sleep(0.01)
        assert "0 groups in this time" in replay("--since", "0m", workflows=TWO)[1].out

    def test_a_wrong_age_or_journal_is_named(self, replay, tmp_path, capsys, write_config):
        with pytest.raises(SystemExit):
            replay("--since", "week")
        assert "is no age: expected a number and m, h or d" in capsys.readouterr().err
        config = str(write_config() / "config.yaml")
        assert main(["replay", "--config", config, "--data", "d", "--journal", str(tmp_path / "none.db")]) != 0
        assert "cannot be read as a listener's journal" in capsys.readouterr().err
