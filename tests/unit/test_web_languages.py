"""The catalogue is whole: what pages say, they say in every language; and a visitor gets the language they ask for."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import web
from consumers.mail import texts as mail_texts
from records.reports.languages import CODES, language_code
from web.languages import ENGLISH, LANGUAGES, LOCALE, choose_language
from web.rendering import environments

NOW = datetime(2026, 11, 22, 9, 5, tzinfo=UTC)
WEB = Path(web.__file__).parent
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
METHODS = [("**/templates/**.html", "jinja2"), ("**.py", "python")]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def used_texts():
    """Every text of templates and code, alone or with its plural, with where it is said."""
    options = {"**/templates/**.html": {"extensions": "jinja2.ext.i18n", "silent": "false"}}
    found = extract_from_dir(WEB, METHODS, options_map=options, keywords=KEYWORDS)
    return {as_tuple(texts): f"{file}:{line}" for file, line, texts, *_ in found}


def as_tuple(texts):
    return texts if isinstance(texts, tuple) else (texts,)


@pytest.fixture(scope="module")
def catalogue():
    with (LOCALE / "zh_Hans" / "LC_MESSAGES" / "web.po").open("rb") as file:
        return read_po(file, locale="zh_Hans", abort_invalid=True)


@pytest.fixture(scope="module")
def translated(catalogue):
    return {as_tuple(entry.id): as_tuple(entry.string) for entry in catalogue if entry.id}


def test_every_text_that_pages_say_has_a_translation(translated):
    missing = {text: where for text, where in used_texts().items() if not all(translated.get(text, [""]))}
    assert not missing


def test_no_translation_is_left_of_a_text_that_is_no_longer_said(translated):
    assert not translated.keys() - used_texts().keys()


def test_no_translation_is_a_guess_or_retired(catalogue):
    assert not [entry.id for entry in catalogue if entry.fuzzy and entry.id]
    assert not catalogue.obsolete


def test_no_text_is_translated_twice():
    source = (LOCALE / "zh_Hans" / "LC_MESSAGES" / "web.po").read_text(encoding="utf-8")
    counts = Counter(re.findall(r'^msgid "(.+)"$', source, re.MULTILINE))
    assert not [text for text, count in counts.items() if count > 1]


def test_translations_fill_in_the_same_values(catalogue):
    for entry in catalogue:
        filled = {tuple(sorted(PLACEHOLDER.findall(text))) for text in as_tuple(entry.id) + as_tuple(entry.string)}
        assert len(filled) == 1, entry.id


def test_no_text_has_a_percent_sign_of_its_own():
    """Jinja's gettext reads each as a placeholder."""
    assert not [text for texts in used_texts() for text in texts if "%" in PLACEHOLDER.sub("", text)]


@pytest.mark.parametrize(
    ("chosen", "asked", "code"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh_Hans"),
        (None, "de-DE,zh;q=0.5,en;q=0.7", "en"),
        (None, "fr, zh-Hans-SG;q=0.3", "zh_Hans"),
        (None, "zh;q=0, en;q=0.1", "en"),
        (None, "de;q=x,,;;q=,\u00e9", "en"),
        ("zh_Hans", "en", "zh_Hans"),
        ("en", "zh-CN", "en"),
        ("klingon", "zh-CN", "zh_Hans"),
    ],
)
def test_the_chosen_language_wins_then_what_the_browser_asks_for_then_english(chosen, asked, code):
    assert choose_language(chosen, asked) is LANGUAGES[code]


@pytest.mark.parametrize(
    ("template", "values", "english", "chinese"),
    [
        ("{{ at|ago }}", {"at": NOW - timedelta(minutes=3)}, "3 minutes ago", "3分钟前"),
        ("{{ at|ago }}", {"at": NOW + timedelta(hours=2)}, "in 2 hours", "2小时后"),
        ("{{ at|moment }}", {"at": NOW}, "Nov 22, 2026, 9:05:00\u202fAM UTC", "2026年11月22日 09:05:00 UTC"),
        ("{{ count|number }}", {"count": 12345.6}, "12,345.6", "12,345.6"),
        (
            "{{ ngettext('%(count)s case waits', '%(count)s cases wait', 1, count=1) }}",
            {},
            "1 case waits",
            "1 件待处理",
        ),
        (
            "{{ ngettext('%(count)s case waits', '%(count)s cases wait', 2, count=2) }}",
            {},
            "2 cases wait",
            "2 件待处理",
        ),
        ("{{ _('Log in') }} {{ name }}", {"name": "<b>"}, "Log in &lt;b&gt;", "登录 &lt;b&gt;"),
    ],
)
def test_pages_say_times_and_numbers_as_their_language_does(template, values, english, chinese):
    shown = {
        code: re.sub("<[^>]+>", "", environment.from_string(template).render(values))
        for code, environment in environments("/static", lambda: NOW).items()
    }
    assert shown == {"en": english, "zh_Hans": chinese}


def test_a_text_is_said_in_its_language_with_its_values():
    text = "Too many attempts from your network. Wait %(seconds)s seconds, then try again."
    assert ENGLISH.text(text, seconds=7) == text.replace("%(seconds)s", "7")
    assert "7" in LANGUAGES["zh_Hans"].text(text, seconds=7)
    assert LANGUAGES["zh_Hans"].text(text, seconds=7) != ENGLISH.text(text, seconds=7)


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("zh", "zh_Hans"),
        ("zh-CN", "zh_Hans"),
        ("zh-Hans", "zh_Hans"),
        ("zh-Hans-CN", "zh_Hans"),
        ("fr-CA", "fr-CA"),
        ("zha", "zha"),
    ],
)
def test_a_tag_asks_for_a_language_of_ours_or_stays_as_it_is(tag, code):
    assert language_code(tag) == code


def test_pages_and_mail_speak_the_languages_that_reporters_are_answered_in():
    assert set(LANGUAGES) == set(mail_texts.LANGUAGES) == set(CODES)
