"""Every page, for everybody: by screen reader, in the dark, on a telephone, in Chinese."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.tour import APPEALED, furnish, tour
from tests.browser.workplace import NAMES, PHONE

GRAVE = ("serious", "critical")
SMALLEST = 24
CONTROLS = "a, button, input:not([type=hidden]), select, textarea, summary"
TOO_SMALL = """([controls, smallest]) => [...document.querySelectorAll(controls)].filter((element) => {
  const inText = element.closest("p, .hint") && getComputedStyle(element).display === "inline";
  if (!element.checkVisibility() || inText) return false;
  const box = (element.closest("label") ?? element).getBoundingClientRect();
  const out = box.bottom < 0; // what is only there for the keyboard, such as the skip link
  return !out && (box.width < smallest || box.height < smallest);
}).map((element) => element.outerHTML.slice(0, 120))"""
TEXTS = """() => {
  const said = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const within = walker.currentNode.parentElement;
    if (!within.closest("code, kbd, script, [lang=en], .secret")) said.push(walker.currentNode.textContent);
  }
  for (const name of ["title", "placeholder", "alt", "aria-label", "data-key-says"])
    for (const element of document.querySelectorAll(`body [${name}]`))
      if (!element.closest("[lang=en]")) said.push(element.getAttribute(name));
  return said;
}"""
PROPER = {"Likeness", "UTC", "API", "Esc", "Escape", "Enter", "opencv", "zoo", "Berg", "maralind", "acct"}
PROPER |= {"JPEG", "PNG", "WebP", "AVIF", "HEIC", "MB", "Nora", "Winter", "Iris", "Nowak", "Cy", "cy"}
PROPER |= {"portrait", "premiere", "cast", "contract", "jpg", "pdf"}
PROPER |= {"Ada", "Otto", "ada", "otto"}
PROPER |= {"Ina", "Ole", "kappa", "Kappa", "Prometheus"}
PROPER |= {"Press", "photo", "Public", "profile"}  # where a reference came from, as a curator wrote it
PROPER |= {word for name in NAMES for word in name.split()} | {"Mo", "Mia", "Lea", "Aud", "mo", "mia", "lea", "aud"}
SAID = (
    "The same photo was in the press in May.",
    "The same account as last week.",
    "Second upload of this account today.",
    APPEALED,
)
SAID += ("Queue tool", "Help desk", "Trust metrics", "Appeals desk")
"""What people of the tour wrote themselves."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_any_page(place, theme):
    cases = furnish(place)
    wrong = []
    for stop, page in tour(place, cases, color_scheme=theme):
        for found in Axe().run(page).response["violations"]:
            if found["impact"] in GRAVE or any(tag.startswith("wcag") for tag in found["tags"]):
                targets = [node["target"] for node in found["nodes"]]
                wrong.append(f"{stop.name}: {found['id']}: {found['help']} {targets}")
    assert wrong == []


@pytest.mark.parametrize("size", [PHONE, {"width": 1024, "height": 768}], ids=["phone", "tablet"])
def test_nothing_scrolls_sideways_and_every_control_can_be_hit(place, size):
    cases = furnish(place)
    wrong = []
    for stop, page in tour(place, cases, viewport=size, has_touch=size is PHONE, is_mobile=size is PHONE):
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > size["width"]:
            wrong.append(f"{stop.name} is {wide} pixels wide")
        wrong += [f"{stop.name}: {one}" for one in page.evaluate(TOO_SMALL, [CONTROLS, SMALLEST])]
    assert wrong == []


def test_pages_in_chinese_have_no_english_left(place):
    cases = furnish(place)
    wrong = set()
    for stop, page in tour(place, cases, locale="zh-CN"):
        assert page.get_attribute("html", "lang") == "zh-Hans"
        for text in page.evaluate(TEXTS):
            for said in SAID:
                text = text.replace(said, "")
            text = re.sub(r"https://\S+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)
            own = re.sub(r"@?\b[a-z]+\.\d+\b|\b[0-9a-f]{8}\b|acct-\d+|idn_\w+", "", text)
            wrong |= {f"{stop.name}: {text.strip()}" for word in re.findall(r"[A-Za-z]{2,}", own) if word not in PROPER}
    assert sorted(wrong) == []
