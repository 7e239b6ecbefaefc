import subprocess
import sys

import pytest

from sorby.cli import app, main

VERBS = [command.name or command.callback.__name__ for command in app.registered_commands]


def sorby(monkeypatch, *arguments):
    """Run the command line in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["sorby", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    return exit_.value.code


@pytest.mark.parametrize("verb", [None, *VERBS, "study"])
def test_help_needs_no_heavy_library(verb):
    arguments = [verb, "--help"] if verb else ["--help"]
    program = (
        "import sys\nfrom sorby.cli import main\nsys.argv = ['sorby', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'skimage', 'matplotlib', 'scipy'} & set(sys.modules)\nprint('HEAVY', sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "HEAVY []"
    assert "Usage" in out.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "no.zip"], "no.zip"),
        (["generate", "nothing", "--out", "x"], "nothing is no generator"),
        (["inspect", "nothing"], "nothing"),
        (["prepare", "nothing", "--out", "x.zip"], "nothing"),
        (["evaluate", "nothing", "nowhere", "--out", "x"], "nowhere"),
    ],
)
def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert sorby(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("sorby: ")
    assert len(error.splitlines()) == 1
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_is_exit_code_2(monkeypatch, capsys):
    assert sorby(monkeypatch, "train", "x.zip", "--kimgs", "3") == 2
    assert "--kimgs" in capsys.readouterr().err
