"""Every verb, with a word in the place of a file, a run or a name that is hardly one: a code, soon."""

import shutil
from pathlib import Path

import pytest

from support.forked_verbs import Verbs

WORDS = (
    *(
        "x" * 300,
        "x" * 5000 + ".yaml",
        "a/" * 2000 + "b.yaml",
        "\udcff\udcfe.yaml",
        "a\nb.yaml",
        "",
        "-",
    ),
    *(
        "/",
        "//",
        ".",
        "..",
        "~",
        "\x1b]0;x\x07.yaml",
        "\u202e.yaml",
        "recipe.yaml/",
        "*.yaml",
        "[",
        "x.gguf",
    ),
    *("/dev/zero", "/dev/stdin", "/proc/self/mem"),
)
COMMANDS = (
    *(
        "validate {}",
        "validate --parent {}",
        "fmt {}",
        "fmt --check {}",
        "fmt --diff {}",
        "pin {}",
        "plan {}",
    ),
    *(
        "plan recipe.yaml --prices {}",
        "plan recipe.yaml --device {}",
        "plan recipe.yaml --store {}",
    ),
    *("plan recipe.yaml --allow-read {}", "plan recipe.yaml --allow-host {}"),
    *(
        "plan recipe.yaml --allow-key {}",
        "compile {}",
        "compile recipe.yaml -o {}",
        "diff {} recipe.yaml",
    ),
    *(
        "diff recipe.yaml {}",
        "diff recipe.yaml --from {}",
        "diff {} --from HEAD",
        "ci --from {}",
        "ci -o {}",
    ),
    *("data {} --no-tokens", "data recipe.yaml --no-tokens --row {}"),
    *("data recipe.yaml --no-tokens --class {}", "runs {}", "runs --store {}", "report {}"),
    *("report --store {}", "report {} --format json", "compare {} {}", "export bundle {}"),
    *(
        "export bundle tiny -o {}",
        "export bundle tiny --key {}",
        "verify {}",
        "verify x.bundle.tar --key {}",
    ),
    *("verify x.bundle.tar --model {}", "init {}", "init rows.csv -o {}"),
    *("init rows.csv -o n.yaml --base-model {}", "init rows.csv -o n.yaml --encoding {}"),
    *(
        "init rows.csv -o n.yaml --text {}",
        "schema {}",
        "explain {}",
        "doctor --store {}",
        "trust {}",
    ),
    *("trust --forget {}", "challenge recipe.yaml --base-model {}"),
)
LISTS = ("explain {}",)
"""Shows the title of every code where none is named, that of bugs among them."""


@pytest.mark.sampled(4)
@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_word_that_is_hardly_a_name_ends_typed(
    command: str, verbs: Verbs, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(whole, folder, symlinks=True)
    found: list[str] = []

    for word in WORDS:
        words = [word if part == "{}" else part for part in command.split()]
        found += verbs.run(words, folder).faults() if word or command not in LISTS else []

    shutil.rmtree(folder)
    assert found == []
