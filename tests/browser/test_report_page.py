"""The page of every kind of report in a real browser: quiet, contained, legible, reachable with the keyboard.

The browser is the system's chromium. `RECIPE_IMAGE=REPORT.html uv run pytest -m slow tests/browser -k readme` draws
the README's image anew, of the report of a run of the quickstart.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from engine.evidence import Report
from engine.render.report.page import render_html
from engine.values import replace
from support import reports
from unit.render.test_pages import REPORTS, hostile

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DESKTOP, PHONE = (1280, 900), (360, 780)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: install the system's package"),
]


def text() -> Report:
    """Made up, as `reports.chat` is, for models of plain text."""
    return replace(reports.chat(), task={"kind": "text"})


PAGES: dict[str, Callable[[], Report]] = {**REPORTS, "text": text, "hostile": hostile}
each_page = pytest.mark.parametrize("name", PAGES)

CONTRAST = """
() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const over = (top, below) => below.map((v, i) => i < 3 ? top[i] * top[3] + v * (1 - top[3]) : 1);
  const background = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ground = background(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), ground);
    const [dark, bright] = [light(ink), light(ground)].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) {
      const text = walker.currentNode.data.slice(0, 40);
      weak.push(`${ratio.toFixed(2)} ${element.tagName}.${element.getAttribute("class")}: ${text}`);
    }
  }
  return [...new Set(weak)];
}
"""
"""Texts whose contrast with what is behind them is less than WCAG AA asks for."""

FOCUSABLE = """
() => [...document.querySelectorAll("a[href], summary, [tabindex='0']")].filter(e => e.checkVisibility()).length
"""
FOCUSED = """
() => {
  const found = document.activeElement;
  if (found === document.body) return null;
  const all = [...document.querySelectorAll("a[href], summary, [tabindex='0']")].filter(e => e.checkVisibility());
  const style = getComputedStyle(found);
  const box = found.getBoundingClientRect();
  return {
    at: all.indexOf(found),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
    seen: box.width > 0 && box.right > 0 && box.bottom > 0 && box.top < innerHeight,
  };
}
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The address of each page."""
    folder = tmp_path_factory.mktemp("pages")
    for name, make in PAGES.items():
        (folder / f"{name}.html").write_text(render_html(make()), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in PAGES}


class Shown:
    """A page in the browser, with all that it says to the console or asks of the network."""

    def __init__(
        self, browser: Any, address: str, size: tuple[int, int], scheme: str = "light"
    ) -> None:
        width, height = size
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        self.page = self.context.new_page()
        self.heard: list[str] = []
        self.page.on("console", lambda message: self.heard.append(message.text))
        self.page.on("pageerror", lambda error: self.heard.append(str(error)))
        self.page.on("dialog", lambda dialog: self.heard.append(dialog.message))
        self.page.on(
            "request", lambda request: None if request.url == address else self._asked(request.url)
        )
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error(e.violatedDirective))"
        )
        self.page.goto(address)

    def _asked(self, url: str) -> None:
        if not url.startswith("data:"):
            self.heard.append(f"request of {url}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.sampled(3)
@each_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_page_is_quiet_keeps_its_width_and_can_be_read(
    browser: Any, pages: dict[str, str], name: str, size: tuple[int, int], scheme: str
) -> None:
    with Shown(browser, pages[name], size, scheme) as shown:
        width = shown.page.evaluate("document.documentElement.scrollWidth")
        shown.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        unfolded = shown.page.evaluate("document.documentElement.scrollWidth")
        weak = shown.page.evaluate(CONTRAST)

        assert shown.heard == []
        assert width <= size[0]
        assert unfolded <= size[0]
        assert weak == []


@each_page
def test_tab_reaches_every_link_fold_and_box_and_shows_where_it_is(
    browser: Any, pages: dict[str, str], name: str
) -> None:
    with Shown(browser, pages[name], DESKTOP) as shown:
        count = shown.page.evaluate(FOCUSABLE)
        reached = set()
        for _ in range(2 * count + 2):
            shown.page.keyboard.press("Tab")
            focused = shown.page.evaluate(FOCUSED)
            if focused is None:
                break
            assert focused["outlined"]
            assert focused["seen"]
            reached.add(focused["at"])

        assert count > 0
        assert reached - {-1} == set(range(count))


def test_a_fold_opens_with_the_keyboard(browser: Any, pages: dict[str, str]) -> None:
    with Shown(browser, pages["rich"], DESKTOP) as shown:
        fold = shown.page.locator("summary", has_text="every default written out")
        text = shown.page.get_by_label("every default written out")
        shown.page.locator("summary", has_text="Recipe and config").press("Enter")
        assert not text.is_visible()

        fold.press("Enter")

        assert text.is_visible()


@each_page
def test_a_page_is_read_in_a_few_screens(browser: Any, pages: dict[str, str], name: str) -> None:
    with Shown(browser, pages[name], (1400, 900)) as shown:
        assert shown.page.evaluate("document.documentElement.scrollHeight") <= 5000


def test_a_link_unfolds_what_it_leads_to_and_paper_shows_all(
    browser: Any, pages: dict[str, str]
) -> None:
    with Shown(browser, pages["rich"], DESKTOP) as shown:
        table = shown.page.get_by_text("Checks on the tuned model")
        assert not table.is_visible()

        shown.page.get_by_role("link", name="Acceptance").click()

        assert table.is_visible()
        shown.page.emulate_media(media="print")
        shown.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = false)")
        assert table.bounding_box() is not None


def test_hostile_texts_are_shown_and_do_nothing(browser: Any, pages: dict[str, str]) -> None:
    with Shown(browser, pages["hostile"], DESKTOP) as shown:
        made = shown.page.evaluate(
            "document.querySelectorAll('script, img, iframe, object, form, [onclick], [onerror]').length"
        )
        links = shown.page.evaluate(
            "[...document.links].every(e => e.hash && e.href.startsWith('file:'))"
        )

        assert made == 0
        assert links
        assert "<script>alert(1)</script>" in shown.page.inner_text("h1")
        assert shown.heard == []


def test_naughty_strings_do_nothing(browser: Any, shared_data: Path, tmp_path: Path) -> None:
    strings = json.loads(
        (shared_data / "naughty_strings" / "blns.json").read_text(encoding="utf-8")
    )
    report = replace(reports.accepted(), notes=tuple(strings), warnings=tuple(strings))
    page = tmp_path / "naughty.html"
    page.write_text(render_html(report), encoding="utf-8")

    with Shown(browser, page.as_uri(), PHONE) as shown:
        assert shown.page.evaluate("document.querySelectorAll('script, img, iframe').length") == 0
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert shown.heard == []


def test_the_policy_refuses_what_would_get_into_the_page(
    browser: Any, pages: dict[str, str]
) -> None:
    with Shown(browser, pages["rich"], DESKTOP) as shown:
        shown.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
        )

        assert shown.page.evaluate("window.ran") is None
        assert any("script-src" in line for line in shown.heard)


def test_the_image_in_the_readme_is_of_such_a_page(
    browser: Any, root: Path, pages: dict[str, str]
) -> None:
    image, given = root / "docs" / "report.png", os.environ.get("RECIPE_IMAGE")
    page = Path(given).resolve().as_uri() if given else pages["rich"]
    # it ends above the mistakes: no rows of published data sets are in the repository
    with Shown(browser, page, (1280, 700)) as shown:
        drawn = shown.page.screenshot()
    if given:
        image.write_bytes(drawn)

    assert "docs/report.png" in (root / "README.md").read_text(encoding="utf-8")
    # fonts differ from system to system, so only the size is compared
    assert image.read_bytes()[16:24] == drawn[16:24]
