"""The user's own index settings."""

from pathlib import Path

import pytest

from engine.sources.index import IndexSettings, read_settings


def settings(home: Path, **environment: str) -> IndexSettings:
    return read_settings({"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "none"), **environment})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_pip_variables_name_indexes_in_order(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        PIP_INDEX_URL="https://one.example/index",
        PIP_EXTRA_INDEX_URL="https://two.example/index https://three.example/index",
    )

    assert found.indexes[:3] == (
        "https://one.example/index",
        "https://two.example/index",
        "https://three.example/index",
    )


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_uv_s_main_index_wins_over_pip_s(tmp_path: Path, name: str) -> None:
    environment = {name: "https://uv.example/index", "PIP_INDEX_URL": "https://pip.example/index"}

    assert settings(tmp_path, **environment).indexes[0] == "https://uv.example/index"


def test_uv_s_named_index_takes_its_credentials_from_the_environment(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        UV_INDEX="my-own=https://host.example/index",
        UV_INDEX_MY_OWN_USERNAME="me",
        UV_INDEX_MY_OWN_PASSWORD="p@ss",
    )

    assert "https://me:p%40ss@host.example/index" in found.indexes


def test_pip_conf_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    write(
        tmp_path / ".config" / "pip" / "pip.conf",
        "[global]\nindex-url = https://file.example/index\nfind-links =\n    /a\n    /b\n",
    )
    from_file = settings(tmp_path)
    from_environment = settings(tmp_path, PIP_INDEX_URL="https://env.example/index")

    assert from_file.indexes[0] == "https://file.example/index"
    assert set(from_file.find_links) >= {"/a", "/b"}
    assert from_environment.indexes[0] == "https://env.example/index"


def test_uv_toml_is_read(tmp_path: Path) -> None:
    write(
        tmp_path / "uv.toml",
        '[[index]]\nname = "a"\nurl = "https://a.example/index"\ndefault = true\n'
        '[[index]]\nname = "b"\nurl = "https://b.example/index"\nexplicit = true\n',
    )
    found = settings(tmp_path, UV_CONFIG_FILE=str(tmp_path / "uv.toml"))

    assert found.indexes[0] == "https://a.example/index"
    assert "https://b.example/index" not in found.indexes


def test_a_broken_configuration_file_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / ".config" / "pip" / "pip.conf", "no section\n")
    write(tmp_path / ".config" / "uv" / "uv.toml", "= broken")

    assert settings(tmp_path, PIP_INDEX_URL="https://x.example").indexes[0] == "https://x.example"


def test_certificates_prefer_pip_s_and_must_exist(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    environment = {
        "PIP_CERT": str(tmp_path / "gone.pem"),
        "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
    }

    assert settings(tmp_path, **environment).certificates == str(tmp_path / "ca.pem")


def test_no_index_and_the_timeout_are_honoured(tmp_path: Path) -> None:
    found = settings(tmp_path, PIP_NO_INDEX="1", PIP_DEFAULT_TIMEOUT="77")

    assert (found.no_index, found.timeout_seconds) == (True, 77.0)
