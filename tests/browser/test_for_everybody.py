"""Every page, for everybody: by screen reader, in the dark, on a telephone, in Chinese."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.drawn_reports import WRITTEN
from tests.browser.tour import APPEALED, tour
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
PROPER |= {"PIN", "ZIP", "Ada", "Otto", "ada", "otto"}
PROPER |= {"Ina", "Ole", "ina", "ole", "ID", "kappa", "Kappa", "Prometheus"}
PROPER |= {"Press", "photo", "Public", "profile"}  # where a reference came from, as a curator wrote it
PROPER |= {word for name in NAMES for word in name.split()} | {"Mo", "Mia", "Lea", "Aud", "mo", "mia", "lea", "aud"}
SAID = (
    "The same photo was in the press in May.",
    "The same account as last week.",
    "Second upload of this account today.",
    APPEALED,
)
SAID += ("Queue tool", "Help desk", "Trust metrics", "Appeals desk", *WRITTEN)
"""What people of the tour wrote themselves."""


LOOKS = {
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
    "tablet": {"viewport": {"width": 1024, "height": 768}, "locale": "zh-CN"},
}


def test_axe_finds_nothing_wrong_with_any_page_in_the_light_or_in_the_dark(furnished):
    axe, wrong = Axe(), []
    for stop, page in tour(*furnished):
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            for found in axe.run(page).response["violations"]:
                if found["impact"] in GRAVE or any(tag.startswith("wcag") for tag in found["tags"]):
                    targets = [node["target"] for node in found["nodes"]]
                    wrong.append(f"{stop.name}, {theme}: {found['id']}: {found['help']} {targets}")
    assert wrong == []


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_scrolls_sideways_every_control_can_be_hit_and_chinese_is_whole(furnished, look):
    how, wrong = LOOKS[look], []
    for stop, page in tour(*furnished, **how):
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > how["viewport"]["width"]:
            wrong.append(f"{stop.name} is {wide} pixels wide")
        wrong += [f"{stop.name}: {one}" for one in page.evaluate(TOO_SMALL, [CONTROLS, SMALLEST])]
        if how.get("locale") == "zh-CN":
            assert page.get_attribute("html", "lang") == "zh-Hans"
            wrong += [f"{stop.name} says in English: {one}" for one in english_left(page)]
    assert wrong == []


def english_left(page) -> list[str]:
    """The texts of a page in Chinese that have a word of English in them."""
    left = []
    for text in page.evaluate(TEXTS):
        for said in SAID:
            text = text.replace(said, "")
        text = re.sub(r"https://\S+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)
        own = re.sub(r"@?\b[a-z]+\.\d+\b|\b[0-9a-f]{8}\b|acct-\d+|idn_\w+|LK(-\w{4}){3}", "", text)
        if set(re.findall(r"[A-Za-z]{2,}", own)) - PROPER:
            left.append(text.strip())
    return left
