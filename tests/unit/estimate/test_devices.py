from pathlib import Path

import pytest

from engine.environment import Device
from engine.errors import RecipeError
from engine.estimate.devices import GPUS, facts_of, named_device, price_of
from engine.values import replace
from support.estimates import CPU


@pytest.mark.parametrize("name", ["rtx-4090", "RTX 4090", "rtx4090"])
def test_a_gpu_is_named_as_people_write_it(name: str) -> None:
    device = named_device(name)

    assert (device.kind, device.name, device.memory_bytes) == ("cuda", "rtx-4090", 24 << 30)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rtx-4091", "did you mean `rtx-4090`?"),
        ("h100", "there are h100-pcie, h100-sxm"),
        ("A100", "there are a100-40gb, a100-80gb"),
        ("h20", "did you mean `h200`?"),
    ],
)
def test_an_unknown_device_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        named_device(name)

    assert caught.value.problems[0].hint == hint


def test_a_card_without_bfloat16_computes_in_32_bits_by_itself() -> None:
    assert named_device("t4").precision("auto") == "fp32"
    assert named_device("l4").precision("auto") == "bf16"


@pytest.mark.parametrize(
    ("detected", "gib", "name"),
    [
        ("NVIDIA GeForce RTX 4090", 24, "rtx-4090"),
        ("NVIDIA A100-SXM4-80GB", 80, "a100-80gb"),
        ("NVIDIA A100-PCIE-40GB", 40, "a100-40gb"),
        ("NVIDIA RTX 6000 Ada Generation", 48, "rtx-6000-ada"),
        ("Tesla T4", 15, "t4"),
        ("Tesla V100-SXM2-32GB", 32, "v100-32gb"),
        ("NVIDIA H200", 140, "h200"),
        ("NVIDIA H100 80GB HBM3", 80, "h100-sxm"),
        ("NVIDIA H100 PCIe", 80, "h100-pcie"),
    ],
)
def test_a_detected_gpu_is_found_in_the_table(detected: str, gib: int, name: str) -> None:
    device = Device(kind="cuda", name=detected, memory_bytes=gib << 30, cores=8, bf16=True)

    assert name == facts_of(device).name


def test_a_gpu_that_is_not_in_the_table_has_no_speed() -> None:
    device = Device(kind="cuda", name="NVIDIA X1", memory_bytes=1 << 30, cores=8, bf16=True)

    assert facts_of(device).peak("bf16") is None


def test_every_named_gpu_has_all_facts() -> None:
    for facts in GPUS.values():
        assert facts.bandwidth
        assert facts.bf16
        assert facts.fp32
        assert facts.fp32 <= facts.bf16


def prices(folder: Path, text: str) -> Path:
    (folder / "prices.yaml").write_text(text, encoding="utf-8")
    return folder / "prices.yaml"


def test_a_price_is_for_an_hour(tmp_path: Path) -> None:
    found = price_of(named_device("l4"), prices(tmp_path, "currency: EUR\nl4: 0.6\n"))

    assert found is not None
    assert (found.of(1800), found.currency) == (0.3, "EUR")


def test_the_kind_or_the_full_name_of_a_device_has_a_price_too(tmp_path: Path) -> None:
    assert price_of(CPU, prices(tmp_path, "cpu: 0.05\n"))
    assert price_of(replace(CPU, kind="mps"), prices(tmp_path, '"a CPU": 1\n'))


def test_a_price_names_a_gpu_as_people_write_it(tmp_path: Path) -> None:
    found = price_of(named_device("rtx-4090"), prices(tmp_path, "RTX 4090: 0.44\n"))

    assert found is not None
    assert (found.an_hour, found.source) == (0.44, "rtx-4090 in prices.yaml")


def test_a_device_without_a_price_costs_nothing_that_is_known(tmp_path: Path) -> None:
    assert price_of(CPU, prices(tmp_path, "l4: 0.6\n")) is None


def test_a_prices_file_is_looked_for_in_the_users_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert price_of(CPU, None) is None
    (tmp_path / "slm-recipe").mkdir()
    prices(tmp_path / "slm-recipe", "cpu: 2\n")
    found = price_of(CPU, None)

    assert found is not None
    assert found.an_hour == 2.0


def test_every_wrong_price_is_reported_at_its_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        price_of(CPU, prices(tmp_path, "cpu: cheap\nl4: -1\nt4: true\ncurrency: 3\na10: 1\n"))

    source = [(one.code, one.path, one.place and one.place.line) for one in caught.value.problems]

    assert source == [
        ("R041", "cpu", 1),
        ("R041", "l4", 2),
        ("R041", "t4", 3),
        ("R041", "currency", 4),
    ]


def test_a_named_prices_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        price_of(CPU, tmp_path / "none.yaml")
