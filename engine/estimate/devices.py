"""Speed and price of devices: data sheets of GPUs, and the description of this machine's processor."""

import re
from pathlib import Path

from engine.environment import Device
from engine.errors import Problem, RecipeError
from engine.files.reading import config_folder, parse_json
from engine.recipe.text.source import read_source
from engine.recipe.text.words import did_you_mean, nearest
from engine.recipe.validation.schema import schema_text
from engine.render.number_format import counted
from engine.values import Value, replace

CURRENCY = "currency"
FILE = "prices.yaml"


class Price(Value):
    an_hour: float
    currency: str
    source: str
    """Device and file: `rtx-4090 in prices.yaml`."""

    def of(self, seconds: float) -> float:
        return self.an_hour * seconds / 3600


def price_of(device: Device, file: Path | None) -> Price | None:
    """Return the price of a device in a file, by default `prices.yaml` of the config folder; None without a price.

    RecipeError R041 for a file that cannot be read or holds anything else, with every problem.
    """
    path = file or config_folder() / FILE
    if file is None and not path.is_file():
        return None
    source = read_source(path)
    problems = [*source.problems]
    for name, value in source.value.items():
        wanted = "a word such as EUR" if name == CURRENCY else "a number: the price of an hour"
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if not (isinstance(value, str) if name == CURRENCY else is_number):
            place = source.place((name,))
            problems.append(
                Problem(code="R041", message=f"must be {wanted}", path=name, place=place)
            )
    if problems:
        raise RecipeError(problems)
    currency = source.value.get(CURRENCY, "")
    prices = {plain_name(name): price for name, price in source.value.items()}
    for name in (facts_of(device).name, device.name, device.kind):
        price = prices.get(plain_name(name))
        if isinstance(price, int | float):
            return Price(
                an_hour=float(price), currency=str(currency), source=f"{name} in {path.name}"
            )
    return None


GIB = 1 << 30
TERA = 1e12


class DeviceFacts(Value):
    name: str
    """Name for `--device`; `cpu` for this machine's processor."""
    memory_bytes: int
    source: str
    bandwidth: float | None = None
    """Bytes a second between it and its memory; None if unknown, like the peaks."""
    bf16: float | None = None
    """Peak of 16-bit matrix products, operations a second; of float16 if bfloat16 is not native."""
    fp32: float | None = None
    """Peak of 32-bit products without TF32."""
    kind: str = "cuda"
    native_bf16: bool = True

    def peak(self, precision: str) -> float | None:
        return self.fp32 if precision == "fp32" else self.bf16


GPUS = {
    name: DeviceFacts(
        name=name,
        memory_bytes=row["gib"] * GIB,
        bandwidth=row["bandwidth"] * 1e9,
        bf16=row["bf16"] * TERA,
        fp32=row["fp32"] * TERA,
        source="the maker's data sheet",
        native_bf16=row["native_bf16"],
    )
    for name, row in parse_json(schema_text("devices.json")).items()
}
"""`schemas/devices.json`: GiB, GB a second, and peaks in trillion operations a second."""


def named_device(name: str) -> Device:
    """Return the device of a name in the table. RecipeError R040 for another name."""
    plain = plain_name(name)
    facts = next((gpu for gpu in GPUS.values() if plain_name(gpu.name) == plain), None)
    if facts is None:
        # There are A100 boards of two sizes, and H100 boards of two forms.
        longer = [gpu for gpu in GPUS if plain and plain_name(gpu).startswith(plain)]
        near = longer[0] if longer else nearest(name, GPUS)
        hint = did_you_mean(near) if near else f"known are {', '.join(GPUS)}"
        if len(longer) > 1:
            hint = f"there are {', '.join(longer)}"
        raise RecipeError.one("R040", f"no device is known as `{name}`", hint=hint)
    return Device(
        kind="cuda",
        name=facts.name,
        memory_bytes=facts.memory_bytes,
        cores=1,
        bf16=facts.native_bf16,
    )


def facts_of(device: Device) -> DeviceFacts:
    unknown = DeviceFacts(
        name=device.kind,
        kind=device.kind,
        memory_bytes=device.memory_bytes,
        source=f"nothing is known of how fast {device.name} is",
        native_bf16=device.bf16,
    )
    if device.kind == "cuda":
        if device.name in GPUS:
            return GPUS[device.name]
        source = f"no data sheet of {device.name} is known"
        words = set(re.split(r"[^a-z0-9]+", device.name.lower()))
        # The entry with all of its words in the detected name. Boards of one name differ in memory only (A100 of 40 and
        # of 80 GB), which is not in the driver's name; of the two forms of one board, drivers name only PCIe.
        return min(
            (facts for facts in GPUS.values() if _model(facts.name) <= words),
            key=lambda facts: (
                -len(_model(facts.name)),
                abs(facts.memory_bytes - device.memory_bytes),
                ("pcie" in facts.name) != ("pcie" in words),
            ),
            default=replace(unknown, name=device.name, source=source),
        )
    if device.kind != "cpu":
        return unknown
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    clock = re.search(r"^cpu MHz\s*:\s*([0-9.]+)", cpuinfo, re.MULTILINE)
    hertz = float(clock[1]) * 1e6 if clock else 0.0
    if not hertz:
        return replace(unknown, source=f"no speed of {device.name} is known")
    # Two units of fused multiply and add, each on a register of 32-bit numbers.
    width = 32 if " avx2" in cpuinfo and " fma" in cpuinfo else 16
    width = 64 if " avx512f" in cpuinfo else width
    peak = device.cores * hertz * width
    cores = counted(device.cores, "core")
    source = f"{cores} x {hertz / 1e9:.2f} GHz x {width} operations a cycle"
    return replace(unknown, bf16=peak, fp32=peak, source=source)


def _model(name: str) -> set[str]:
    """Return the words of a name that drivers use, too: without memory and form of the board."""
    return {
        word for word in name.split("-") if not word.endswith("gb") and word not in ("sxm", "pcie")
    }


def plain_name(name: str) -> str:
    """Return the letters and digits of a name: `RTX 4090` is `rtx-4090`."""
    return re.sub(r"[^a-z0-9]+", "", name.lower())
