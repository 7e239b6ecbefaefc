from sorby.report.markdown import markdown
from tests.report.test_html import by_condition, fidelity, report


def test_every_measure_and_score_is_a_row_of_a_table():
    rows = [line for line in markdown(report()).splitlines() if line.startswith("|")]
    assert sum(" agrees |" in row or " differs |" in row or " not decided |" in row for row in rows) == 3
    assert any(row.startswith("| KID | efficientnet-lite0 | micrographs held out of training | 0.3 |") for row in rows)
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1  # both tables have six columns


def test_the_verdict_comes_first():
    lines = [line for line in markdown(report(verdicts=["agrees"] * 11)).splitlines() if line]
    assert lines[1] == "**The microstructure agrees. 11 of 11 measures within their margins, none shown to differ.**"


def test_names_of_files_cannot_break_out():
    *text, command = markdown(report()).splitlines()
    assert command.startswith("    ")  # code, in which nothing has force
    assert "<script>" not in "".join(text)


def test_conditions_have_tables_with_intervals_ceiling_and_chance():
    found = report(
        conditions=by_condition(1.0, 2.0, 3.0, unseen=(1.0,)), read=(fidelity(0.78), fidelity(0.2, seen=False))
    )
    text = markdown(found)
    assert "| the right of 8 conditions, held out | 20 % (15 to 25) | 80 % (75 to 85) | 12 % |" in text
    assert "| area fraction | 3 held out | 25.0 % (1.0 to 7.0) | 1.5 % | 0.9 (0.7 to 1.1) |" in text
    assert "<script>" not in "".join(text.splitlines()[:-1])
