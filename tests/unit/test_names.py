"""Which profiles claim a gallery name, and which do not."""

import random
import re
import threading
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.names import LONGEST_TEXT, NameIndex, shown, skeleton
from detector.verdict import NameClaim

GALLERY = {
    "macron": "Emmanuel Macron",
    "ardern": "Jacinda Ardern",
    "adele": "Adele",
    "li": "Li Na",
    "faye": "王菲",
    "gooding": "Cuba Gooding Jr",
    "gates": "Bill Gates",
    "petrova": "Мария Петрова",
    "salah": "محمد صلاح",
    "oneal": "Shaquille O'Neal",
    "vandamme": "Jean-Claude Van Damme",
    "lee": "Ian Lee",
}

words = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=4, max_size=9)


@pytest.fixture(scope="module")
def names():
    index = NameIndex()
    index.set(GALLERY)
    return index


def claimed(index, text):
    return {identity_id for identity_id, _ in index.claimed(text, None)}


@pytest.mark.parametrize(
    ("text", "identity_id"),
    [
        ("Emmanuel Macron", "macron"),
        ("Macron Emmanuel", "macron"),
        ("Van Damme Jean-Claude", "vandamme"),
        ("Jacinda Kate Laurell Ardern", "ardern"),
        ("real_emmanuel.macron99", "macron"),
        ("thejacindaardernofficial", "ardern"),
        ("iamjacindaardern", "ardern"),
        ("paris_emmanuelmacron", "macron"),
        ("E m m a n u e l M a c r o n", "macron"),
        ("3mm4nu3l m@cr0n", "macron"),
        ("BiII Gates", "gates"),
        ("Bi11 G4tes!!", "gates"),
        ("Еmmаnuеl Масrоn", "macron"),
        ("𝓔𝓶𝓶𝓪𝓷𝓾𝓮𝓵 𝓜𝓪𝓬𝓻𝓸𝓷", "macron"),
        ("Ｅｍｍａｎｕｅｌ　Ｍａｃｒｏｎ", "macron"),
        ("Em\u200bmanuel Mac\u00adron 🌸", "macron"),
        ("Éммanuel Mácron", "macron"),
        ("Emanuel Maccron", "macron"),
        ("cubagooding", "gooding"),
        ("Cuba Gooding Jr.", "gooding"),
        ("Mariya Petrova", "petrova"),
        ("Мария Петрова ✨", "petrova"),
        ("محمد صلاح 🌸", "salah"),
        ("王菲", "faye"),
        ("fei_wang", "faye"),
        ("Shaquille O’Neal", "oneal"),
        ("shaquilleoneal", "oneal"),
        ("Adele, 25", "adele"),
        ("xx_adele_official_xx", "adele"),
        ("李娜", "li"),
        ("Na Li", "li"),
    ],
)
def test_a_disguised_name_is_still_claimed(names, text, identity_id):
    assert claimed(names, text) == {identity_id}


@pytest.mark.parametrize(
    "text",
    [
        "Emma M.",
        "E. Macron",
        "Emmanuel",
        "Macron",
        "Adele Smith",
        "Lina Wong",
        "Ina",
        "vivianlee",
        "Vivian Lee",
        "Emmanuel Petit",
        "joanna_macron",
        "🌸✨",
        "",
        "2004",
    ],
)
def test_another_name_claims_nobody(names, text):
    assert claimed(names, text) == set()


def test_a_claim_says_in_which_field_and_shows_it_without_control_characters(names):
    assert names.claimed("Emmanuel\u202e\x07 Macron", "adele_77") == [
        ("macron", NameClaim("display_name", "Emmanuel Macron")),
        ("adele", NameClaim("handle", "adele_77")),
    ]


def test_a_profile_without_names_claims_nobody(names):
    assert names.claimed(None, None) == []


def test_a_renamed_identity_is_known_by_its_new_name_alone():
    index = NameIndex()
    index.set({"a": "Emmanuel Macron"})
    index.set({"b": "Emmanuel Macron"})
    index.set({"a": "Jacinda Ardern"})
    assert claimed(index, "Emmanuel Macron") == {"b"}
    assert claimed(index, "Jacinda Ardern") == {"a"}
    assert len(index) == 2


@given(names=st.lists(st.one_of(st.text(max_size=30), st.builds("{} {}".format, words, words)), max_size=8))
def test_names_filed_together_are_filed_as_each_alone(names):
    together = NameIndex()
    together.set({str(number): name for number, name in enumerate(names)})
    for name in names:
        alone = set()
        for number, other in enumerate(names):
            index = NameIndex()
            index.set({str(number): other})
            alone |= claimed(index, name)
        assert claimed(together, name) == alone


def test_a_dropped_identity_leaves_nothing_behind():
    index = NameIndex()
    index.set(GALLERY)
    for identity_id in [*GALLERY, "unknown"]:
        index.drop(identity_id)
    assert len(index) == 0
    assert all(claimed(index, name) == set() for name in GALLERY.values())
    index._table.settle()
    assert len(index._table) == 0


def test_names_may_change_while_other_threads_look_up(names):
    index, missed = NameIndex(), []
    index.set({"stays": "Emmanuel Macron"})

    def look_up():
        missed.extend(1 for _ in range(300) if "stays" not in claimed(index, "emmanuel.macron"))

    readers = [threading.Thread(target=look_up) for _ in range(2)]
    for reader in readers:
        reader.start()
    for change in range(300):
        index.set({"stays": "Emmanuel Macron" if change % 2 else "Emmanuel Jean Macron"})
    for reader in readers:
        reader.join()
    assert missed == []


@pytest.mark.parametrize(
    "unit", ["x ", "x", "xo", "1a", "王", "\ufdfa", "the ", "аb", "A\u0301", "@", "\u200d", "a.", "ﷺ 1"]
)
def test_hostile_text_gives_a_bounded_number_of_lookups(unit):
    from detector.names import _candidates, _spellings

    spellings = _spellings(unit * 100_000)
    assert all(len(spelled) < 40 * LONGEST_TEXT for spelled in spellings)
    assert sum(1 for spelled in spellings for _ in _candidates(spelled)) < 100_000


@given(st.text(max_size=60))
def test_a_skeleton_is_its_own_skeleton(text):
    assert skeleton(skeleton(text)) == skeleton(text)


@given(
    words, words, st.sampled_from(["{0} {1}", "{1} {0}", "{0}.{1}", "{0}{1}", "{1}_{0}", "real{0}{1}99", "{0} kim {1}"])
)
def test_any_two_word_name_is_claimed_in_either_order_and_with_decoration(given_name, family_name, form):
    index = NameIndex()
    index.set({"someone": f"{given_name.title()} {family_name.title()}"})
    assert claimed(index, form.format(given_name, family_name)) == {"someone"}


@given(st.text(max_size=600), st.text(max_size=60))
def test_no_text_breaks_a_lookup(text, name):
    index = NameIndex()
    index.set({"someone": name})
    assert {identity_id for identity_id, _ in index.claimed(text, text)} <= {"someone"}


def test_what_is_shown_is_short_and_on_one_line():
    assert shown("a\n\tb\x00\u2028c") == "a b c"
    assert shown("x" * 1000) == "x" * 79 + "…"


def test_few_innocent_names_claim_someone_by_chance():
    """2,000 gallery names and 2,000 others, made of the same syllables."""
    drawn = random.Random(1)
    syllables = re.findall("..", "anberomikalotesovieldanusogapetolimacaho")

    def name():
        return " ".join("".join(drawn.choices(syllables, k=drawn.randint(2, 3))).title() for _ in "ab")

    index = NameIndex()
    gallery = {name() for _ in range(2000)}
    index.set({known: known for known in gallery})
    innocent = [other for other in (name() for _ in range(2000)) if other not in gallery]
    assert sum(bool(claimed(index, other)) for other in innocent) <= 10


GIVEN = ("Ada", "Grace", "Emmy", "Sofia", "Marie", "Lise")
FAMILY = ("Lovelace", "Hopper", "Noether", "Kowalewska", "Curie", "Meitner")


def test_names_are_found_before_and_after_they_are_sorted_away(monkeypatch):
    monkeypatch.setattr("detector.key_table.WAITING", 10)
    index = NameIndex()
    people = {f"id{number}": f"{first} {last}" for number, (first, last) in enumerate(product(GIVEN, FAMILY))}
    index.set(people)
    for identity_id in list(people)[::3]:
        index.drop(identity_id)
    for number, (identity_id, name) in enumerate(people.items()):
        assert claimed(index, name) == ({identity_id} if number % 3 else set())
    for identity_id in people:
        index.drop(identity_id)
    index._table.settle()
    assert len(index) == 0


def test_names_of_the_departed_take_no_memory_for_long(monkeypatch):
    monkeypatch.setattr("detector.key_table.WAITING", 10)
    monkeypatch.setattr("detector.names.WAITING", 10)
    index = NameIndex()
    for turn in range(500):
        if turn == 3:
            index.set({"bea": "Beatrix Potter"})
        index.set({"ada": "Ada Lovelace"})
    assert len(index._table) < 50
    assert len(index._ids) < 20
    assert claimed(index, "Ada Lovelace") == {"ada"}
    assert claimed(index, "beatrix potter") == {"bea"}
