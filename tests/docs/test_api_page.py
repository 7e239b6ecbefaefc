import sorby
from tests.docs.commands import ROOT


def test_all_that_is_public_is_on_the_page_of_the_python_interface():
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    missing = [name for name in sorby.__all__ if f"::: {sorby._HOME[name]}.{name}\n" not in page]
    assert missing == []
