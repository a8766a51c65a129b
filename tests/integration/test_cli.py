"""The program as its users run it: exit codes, what it prints, and one clear sentence for all that is wrong."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.portraits import PORTRAITS
from detector.packs import sha256_of
from tests.support.portraits import fit, jpeg, read_rgb
from tests.support.program import Program

FULL = Path("/dev/full")
CC = ("--provenance", "Wikimedia Commons, CC BY-SA")
ALL_COMMANDS = [
    [],
    ["run"],
    ["migrate"],
    ["screen"],
    ["evaluate"],
    ["calibrate"],
    ["policy"],
    ["policy", "explain"],
    ["config"],
    ["config", "show"],
    ["models"],
    ["models", "list"],
    ["models", "pull"],
    ["models", "verify"],
    ["gallery"],
    ["gallery", "add"],
    ["gallery", "import"],
    ["gallery", "list"],
    ["gallery", "show"],
    ["gallery", "remove"],
    ["gallery", "own-account"],
    ["gallery", "publish"],
    ["gallery", "decide"],
    ["gallery", "suspend"],
    ["gallery", "resume"],
    ["gallery", "release"],
    ["gallery", "reach"],
    ["gallery", "reembed"],
    ["doctor"],
    ["dead-letters"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
]


def home_with_models(folder, models):
    folder.mkdir()
    (folder / "models").symlink_to(models)
    return Program(folder)


@pytest.fixture
def bare(tmp_path):
    """`likeness` in a home with nothing in it."""
    return Program(tmp_path / "home")


@pytest.fixture
def likeness(tmp_path, models):
    """`likeness` in a home with the default models and an empty gallery."""
    return home_with_models(tmp_path / "home", models)


@pytest.fixture(scope="module")
def protecting(tmp_path_factory, models, portraits):
    """`likeness` in a home whose gallery holds Emmanuel Macron, with an own account, and Jacinda Ardern; to be read."""
    program = home_with_models(tmp_path_factory.mktemp("protecting") / "home", models)
    macron = ("Emmanuel Macron", portraits["person_a_1.jpg"], "--own-account", "macron-official")
    assert program("gallery", "add", *macron, "--kind", "celebrity", *CC).code == 0
    ardern = ("Jacinda Ardern", portraits["person_b_1.jpg"])
    assert program("gallery", "add", *ardern, "--kind", "victim", *CC).code == 0
    return program


@pytest.fixture(scope="module")
def photos(tmp_path_factory, portraits):
    """Photos that do not do for enrolment, by what is wrong with them."""
    folder = tmp_path_factory.mktemp("photos")
    obama, ardern = (read_rgb(portraits[name]) for name in ("impostor_1.jpg", "person_b_1.jpg"))
    pictures = {
        "no_face": np.full((300, 300, 3), 90, np.uint8),
        "several_faces": np.hstack([cv2.resize(one, (500, 600)) for one in (obama, ardern)]),
        "face_too_small": fit(obama, 160),
        "face_too_blurred": cv2.GaussianBlur(fit(obama, 800), (0, 0), 9),
    }
    for name, pixels in pictures.items():
        (folder / f"{name}.jpg").write_bytes(jpeg(pixels))
    (folder / "not_a_picture.jpg").write_text("Dear diary")
    (folder / "truncated_or_damaged.jpg").write_bytes(portraits["impostor_1.jpg"].read_bytes()[:2000])
    return {file.stem: file for file in folder.iterdir()}


def references(program):
    """The reference counts of the gallery by name."""
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in program("gallery", "list").out.splitlines()]
    return {row[1]: int(row[4]) for row in table if row}


# The program itself


def test_version(bare):
    ended = bare("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("likeness 0.")


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=" ".join)
def test_every_command_explains_itself(bare, command):
    ended = bare(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert " ".join(["Usage: likeness", *command]) in ended.out
    assert not bare.home.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dance"], "No such command 'dance'"),
        (["screen", "--dance", "x"], "No such option: --dance"),
        (["screen"], "Missing argument 'PICTURE"),
        (["gallery", "add", "Ana", "x.jpg", "--kind", "victim"], "Missing option '--provenance'"),
        (["gallery", "add", "Ana", "x.jpg", "--kind", "ghost", *CC], "'ghost' is not one of 'celebrity', 'victim'"),
        (["gallery", "add", "Ana", "x.jpg", "--kind", "victim", "--face", "one", *CC], "Invalid value for '--face'"),
    ],
)
def test_wrong_words_on_the_command_line_end_with_2_and_name_the_word(bare, words, said):
    ended = bare(*words)
    assert ended.code == 2
    assert said in ended.err


def test_a_wrong_setting_ends_every_command_with_one_sentence(bare):
    for words in (["run"], ["gallery", "list"], ["config", "show"], ["models", "list"]):
        ended = bare(*words, LIKENESS_KAFKA__DELIVERY="maybe")
        assert ended.code == 2
        assert ended.sentence.startswith("Settings are wrong: kafka.delivery: ")


@pytest.mark.parametrize("words", [["gallery", "list"], ["models", "pull", "--from", "{models}/opencv-zoo"]])
def test_a_home_that_cannot_be_written_is_told_in_one_sentence(bare, models, words):
    ended = bare(*(word.format(models=models) for word in words), LIKENESS_HOME="/proc/likeness")
    assert ended.code == 2
    assert "/proc/likeness" in ended.sentence


def test_a_file_that_is_no_database_is_told_in_one_sentence(bare):
    bare.home.mkdir()
    (bare.home / "likeness.db").write_text("Dear diary")
    ended = bare("gallery", "list")
    assert ended.code == 2
    assert "file is not a database" in ended.sentence


def test_a_port_that_is_taken_ends_the_consumer_with_one_sentence(bare):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = bare("run", LIKENESS_HTTP__HOST="127.0.0.1", LIKENESS_HTTP__PORT=port)
    assert ended.code == 2
    assert "Address already in use" in ended.err.splitlines()[-1]


def started(program, *words, **streams):
    """A process of the operating system's own, for what happens to its signals and pipes."""
    environment = os.environ | {"LIKENESS_HOME": str(program.home)}
    command = [sys.executable, "-m", "likeness", *map(str, words)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **streams)


@pytest.fixture
def many(tmp_path, portraits):
    """A folder with more pictures than can be screened in a moment."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number:03}.jpg").symlink_to(portraits["person_a_1.jpg"])
    return folder


def test_ctrl_c_ends_a_long_command_with_130_and_no_word(protecting, many):
    with started(protecting, "screen", "--json", many, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert len(out.splitlines()) < 399


def test_a_reader_that_leaves_ends_a_long_command_without_a_word(protecting, many):
    with started(protecting, "screen", "--json", many, stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["verdict"] == "review"
        process.stdout.close()
        assert (process.wait(timeout=30), process.stderr.read()) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_disk_that_is_full_is_told_in_one_sentence(bare):
    with FULL.open("w") as full, started(bare, "config", "show", stdout=full) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err == "likeness: The operating system refused: No space left on device.\n"


# Settings


def test_config_show_prints_what_is_in_force_with_every_secret_masked(bare, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('[kafka.extra]\nsasl_oauth_token = "hunter2"\nrequest_timeout_ms = 5000\n')
    ended = bare(
        *("config", "show"),
        LIKENESS_CONFIG=str(own),
        LIKENESS_DATABASE__URL="postgresql://likeness:hunter2@db/likeness?sslpassword=hunter2&sslmode=require",
        LIKENESS_KEYS__MASTER_KEY="hunter2",
        LIKENESS_KAFKA__SASL_PASSWORD="hunter2",
        LIKENESS_KAFKA__SSL_PASSWORD="hunter2",
        LIKENESS_KAFKA__CLIENT_ID="mine",
    )
    assert (ended.code, ended.err) == (0, "")
    assert "hunter2" not in ended.out
    shown = json.loads(ended.out)
    assert shown["home"] == str(bare.home)
    assert (shown["kafka"]["client_id"], shown["kafka"]["session_timeout_ms"]) == ("mine", 45_000)
    assert (shown["kafka"]["extra"]["request_timeout_ms"], shown["keys"]["master_key"]) == (5000, "**********")
    assert shown["database"]["url"].startswith("postgresql://likeness:")
    assert "sslmode=require" in shown["database"]["url"]


def test_config_show_touches_nothing_and_shows_nothing_of_an_unreadable_url(bare, tmp_path):
    ended = bare("config", "show", LIKENESS_DATABASE__URL="hunter2 is no URL")
    assert json.loads(ended.out)["database"]["url"] == "**********"
    bare("config", "show", LIKENESS_DATABASE__URL=f"sqlite:///{tmp_path}/new/gallery.db")
    assert not (tmp_path / "new").exists()
    assert not bare.home.exists()


# Models


def test_models_list_tells_licence_use_dimension_files_and_state(likeness):
    ended = likeness("models", "list")
    assert (ended.code, ended.err) == (0, "")
    default, buffalo = ended.out.split("buffalo_l@")[:2]
    for words in (
        "SFace: Apache-2.0",
        "allowed",
        "128",
        "LFW at 150 pixels",
        "49f000ec501fef24739071fc7e68267d32209045",
        "verified",
    ):
        assert words in default
    for words in ("non-commercial", "NOT ALLOWED", "512", "likeness calibrate", "not pulled"):
        assert words in buffalo


def test_models_pull_takes_a_folder_for_the_network_and_verifies(bare, models):
    ended = bare("models", "pull", "--from", models / "opencv-zoo")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("opencv-zoo@1: 2 files verified, 128 dimensions.")
    assert bare("models", "verify").code == 0


def test_a_damaged_model_is_named_and_neither_verified_nor_installed(bare, models, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(models / "opencv-zoo", damaged)
    recogniser = next(damaged.glob("face_recognition*"))
    recogniser.write_bytes(recogniser.read_bytes()[:-1] + b"\0")
    pulled = bare("models", "pull", "--from", damaged)
    assert pulled.code == 2
    assert pulled.sentence.startswith(f"{recogniser.name} has another SHA-256 than models.toml declares")
    assert not list(bare.home.rglob(recogniser.name))
    shutil.copytree(damaged, bare.home / "models" / "opencv-zoo", dirs_exist_ok=True)
    assert "WRONG HASH" in bare("models", "list").out
    for words in (["models", "verify"], ["screen", recogniser]):
        ended = bare(*words)
        assert ended.code == 2
        assert f"{recogniser.name} is not the declared one: SHA-256 is {sha256_of(recogniser)}" in ended.sentence


@pytest.mark.parametrize("words", [["models", "verify"], ["screen", "{photo}"], ["gallery", "add", "Ana", "{photo}"]])
def test_models_that_are_not_there_end_with_how_to_get_them(bare, portraits, words):
    given = [word.format(photo=portraits["person_a_1.jpg"]) for word in words]
    ended = bare(*given, *(("--kind", "victim", *CC) if words[0] == "gallery" else ()))
    assert ended.code == 2
    assert "run `likeness models pull opencv-zoo`" in ended.sentence


def test_a_pack_that_nobody_knows_is_told_with_those_that_are_known(bare):
    ended = bare("models", "verify", "nosuch")
    assert ended.code == 2
    assert "There is no model pack 'nosuch': known are antelopev2, buffalo_l, opencv-zoo" in ended.sentence


# Gallery


def add(program, name, *photos, kind="celebrity", **variables):
    return program("gallery", "add", name, *photos, "--kind", kind, *CC, **variables)


def test_an_identity_is_added_listed_shown_extended_and_erased(likeness, portraits):
    first = add(likeness, "Emmanuel Macron", portraits["person_a_1.jpg"], "--own-account", "macron-official")
    assert (first.code, first.err) == (0, "")
    assert first.out.endswith("Emmanuel Macron: references added: 1, known already: 0.\n")
    second = add(likeness, "Emmanuel Macron", portraits["person_a_2.jpg"])
    assert second.out.split()[0] == first.out.split()[0]
    assert references(likeness) == {"Emmanuel Macron": 2}
    shown = likeness("gallery", "show", "Emmanuel Macron").out
    for words in ("celebrity, active", "macron-official", "204x244", "opencv-zoo@1", CC[1]):
        assert words in shown
    one = next(word for word in shown.split() if word.startswith("ref_"))
    assert likeness("gallery", "remove", "Emmanuel Macron", "--reference", one).code == 0
    assert references(likeness) == {"Emmanuel Macron": 1}
    erased = likeness("gallery", "remove", first.out.split()[0])
    assert (erased.code, erased.out) == (0, f"{first.out.split()[0]}  Emmanuel Macron: erased.\n")
    assert references(likeness) == {}


def test_what_is_screened_follows_the_gallery(likeness, portraits):
    other = portraits["person_a_2.jpg"]
    assert likeness("screen", "--json", other).lines[0]["verdict"] == "clear"
    add(likeness, "Emmanuel Macron", portraits["person_a_1.jpg"])
    assert likeness("screen", "--json", other).lines[0]["verdict"] == "review"
    likeness("gallery", "own-account", "Emmanuel Macron", "macron-official")
    assert likeness("screen", "--json", other, "--account", "macron-official").lines[0]["verdict"] == "clear"
    likeness("gallery", "remove", "Emmanuel Macron")
    assert likeness("screen", "--json", other).lines[0]["verdict"] == "clear"


@pytest.mark.parametrize(
    "reason",
    ["no_face", "several_faces", "face_too_small", "face_too_blurred", "not_a_picture", "truncated_or_damaged"],
)
def test_a_photo_that_does_not_do_is_refused_by_reason_and_nothing_is_added(likeness, photos, portraits, reason):
    ended = add(likeness, "Barack Obama", portraits["impostor_1.jpg"], photos[reason])
    assert ended.code == 2
    refused, summary = ended.err.splitlines()
    assert refused.startswith(f"refused {photos[reason]}: {reason}: ")
    assert summary == "likeness: Nothing was added; photos refused: 1 of 2."
    assert references(likeness) == {}


def test_of_several_faces_one_can_be_chosen(likeness, photos, portraits):
    assert add(likeness, "Somebody", photos["several_faces"], "--face", 3).code == 2
    assert add(likeness, "Somebody", photos["several_faces"], "--face", 0).code == 2
    faces = likeness("screen", "--json", photos["several_faces"]).lines[0]["faces"]
    left = 1 + min(range(2), key=lambda number: faces[number]["box"][0])
    assert add(likeness, "Barack Obama", photos["several_faces"], "--face", left).code == 0
    (obama, ardern) = likeness("screen", "--json", portraits["impostor_1.jpg"], portraits["person_b_1.jpg"]).lines
    assert (obama["verdict"], ardern["verdict"]) == ("review", "clear")


def test_a_photo_nearer_to_another_identity_is_refused_unless_forced(likeness, portraits):
    add(likeness, "Emmanuel Macron", portraits["person_a_1.jpg"])
    ended = add(likeness, "A Stranger", portraits["person_a_2.jpg"], kind="victim")
    assert ended.code == 2
    assert "nearer_to_another: The face is more like Emmanuel Macron" in ended.err
    assert add(likeness, "A Stranger", portraits["person_a_2.jpg"], "--force", kind="victim").code == 0
    assert references(likeness) == {"A Stranger": 1, "Emmanuel Macron": 1}


def test_a_photo_unlike_the_identitys_others_is_added_but_asked_about(likeness, portraits):
    add = ("gallery", "add", "Jane Doe", "--kind", "victim", *CC)
    assert likeness(*add, portraits["person_a_1.jpg"]).err == ""
    second = likeness(*add, portraits["person_b_1.jpg"])
    assert second.code == 0 and "same person?" in second.err
    assert likeness(*add, portraits["person_b_2.jpg"]).err == ""


def test_publishing_anew_tells_how_many_identities_wait(likeness, portraits):
    likeness("gallery", "add", "Jane Doe", "--kind", "victim", *CC, portraits["person_a_1.jpg"])
    ended = likeness("gallery", "publish")
    assert ended.code == 0 and ended.out.startswith("1 identities wait")


def test_a_photo_that_is_known_already_is_not_added_again_but_its_own_account_is(likeness, portraits):
    photo = portraits["person_a_1.jpg"]
    add(likeness, "Emmanuel Macron", photo)
    ended = add(likeness, "Emmanuel Macron", photo, photo, "--own-account", "macron-official")
    assert ended.code == 0
    assert ended.out.endswith("references added: 0, known already: 2.\n")
    assert references(likeness) == {"Emmanuel Macron": 1}
    assert "macron-official" in likeness("gallery", "show", "Emmanuel Macron").out


def test_what_is_asked_of_the_gallery_wrongly_is_told_in_one_sentence(protecting, portraits, tmp_path):
    photo = portraits["impostor_1.jpg"]
    kind = ("--kind", "victim")
    wrong = {
        ("add", "Emmanuel Macron", photo, *kind, *CC): "is in the gallery as a celebrity, not as a victim.",
        ("add", "Obama", photo, *kind, "--provenance", " "): "--provenance must say where the photos come from",
        ("add", " ", photo, *kind, *CC): "A name cannot be blank.",
        ("add", "\udcff", photo, *kind, *CC): r"A name is not text in UTF-8: '\udcff'.",
        ("add", "Obama", photo, "--own-account", "", *kind, *CC): "An account cannot be blank.",
        ("add", "Obama", photo, *kind, "--provenance", "\udcff"): r"--provenance is not text in UTF-8: '\udcff'.",
        ("add", "Obama", "/no/such.jpg", *kind, *CC): "There is no photo /no/such.jpg.",
        ("import", "/no/such/folder", *kind, *CC): "There is no folder /no/such/folder.",
        ("import", tmp_path, *kind, *CC): "holds no folder with photos: one folder per identity is expected.",
        ("show", "Nobody"): "There is no identity 'Nobody' in the gallery.",
        ("show", "\udcff"): r"The identity's name is not text in UTF-8: '\udcff'.",
        ("remove", "Nobody"): "There is no identity 'Nobody' in the gallery.",
        ("remove", "Emmanuel Macron", "--reference", "ref_0"): "Emmanuel Macron has no reference ref_0.",
        ("own-account", "Nobody", "account-1"): "There is no identity 'Nobody' in the gallery.",
        ("own-account", "Emmanuel Macron", " "): "An account cannot be blank.",
        ("own-account", "Emmanuel Macron", "\udcff"): r"An account is not text in UTF-8: '\udcff'.",
    }
    for words, said in wrong.items():
        ended = protecting("gallery", *words)
        assert (ended.code, ended.out) == (2, ""), words
        assert said in ended.sentence
    assert references(protecting) == {"Emmanuel Macron": 1, "Jacinda Ardern": 1}


def test_a_known_identity_keeps_its_reach_unless_another_is_given(likeness, portraits):
    def shown(*reach):
        assert add(likeness, "Emmanuel Macron", portraits["person_a_1.jpg"], *reach).code == 0
        (line,) = (line for line in likeness("gallery", "show", "Emmanuel Macron").out.splitlines() if "reach " in line)
        return line.split(";")[0]

    assert [shown(), shown("--reach", 5), shown()] == ["reach 3", "reach 5", "reach 5"]


def test_an_own_account_is_noted_once_and_forgotten(likeness, portraits):
    add(likeness, "Emmanuel Macron", portraits["person_a_1.jpg"])
    told = [
        likeness("gallery", "own-account", "Emmanuel Macron", "m", *forget).out
        for forget in ((), (), ("--forget",), ("--forget",))
    ]
    assert likeness("gallery", "own-account", "Emmanuel Macron", " m ").out == told[0]
    assert told == [
        "Emmanuel Macron: m is an own account.\n",
        "Emmanuel Macron: m is an own account, as before.\n",
        "Emmanuel Macron: m is no longer an own account.\n",
        "Emmanuel Macron: m is no longer an own account, as before.\n",
    ]


def test_of_an_imported_folder_good_photos_are_added_and_bad_ones_named(likeness, portraits, photos, tmp_path):
    people = {
        "Emmanuel_Macron": [portraits["person_a_1.jpg"], portraits["person_a_2.jpg"], photos["no_face"]],
        "Jacinda Ardern": [portraits["person_b_1.jpg"]],
        "Jacinda_Ardern": [portraits["person_b_2.jpg"]],
        "Nobody [really]": [photos["not_a_picture"]],
        os.fsdecode(b"caf\xe9"): [portraits["impostor_1.jpg"]],
    }
    for name, files in people.items():
        (tmp_path / "people" / name).mkdir(parents=True)
        for file in files:
            shutil.copy(file, tmp_path / "people" / name)
    (tmp_path / "people" / "Jacinda_Ardern" / ".DS_Store").write_text("not for us")
    (tmp_path / "people" / "README.txt").write_text("nobody")
    folder = tmp_path / "people"
    ended = likeness("gallery", "import", folder, "--kind", "celebrity", *CC)
    assert (ended.code, ended.out) == (2, "References added: 4, known already: 0, photos refused: 3.\n")
    refused = [line.split(": ")[:2] for line in ended.err.splitlines() if line.startswith("refused ")]
    assert refused == [
        [f"refused {folder}/Emmanuel_Macron/no_face.jpg", "no_face"],
        [f"refused {folder}/Nobody [really]/not_a_picture.jpg", "not_a_picture"],
        [r"refused caf\udce9", "A folder's name is not text in UTF-8"],
    ]
    assert references(likeness) == {"Emmanuel Macron": 2, "Jacinda Ardern": 2}
    again = likeness("gallery", "import", folder, "--kind", "celebrity", *CC)
    assert again.out == "References added: 0, known already: 4, photos refused: 3.\n"


def test_an_identity_of_another_kind_does_not_stop_an_import(likeness, portraits, tmp_path):
    add(likeness, "Emmanuel Macron", portraits["person_a_1.jpg"], kind="victim")
    for name, photo in (("Emmanuel_Macron", "person_a_2.jpg"), ("Jacinda_Ardern", "person_b_1.jpg")):
        (tmp_path / "people" / name).mkdir(parents=True)
        shutil.copy(portraits[photo], tmp_path / "people" / name)
    ended = likeness("gallery", "import", tmp_path / "people", "--kind", "celebrity", *CC)
    assert (ended.code, ended.out) == (2, "References added: 1, known already: 0, photos refused: 1.\n")
    assert "refused Emmanuel Macron: Emmanuel Macron is in the gallery as a victim" in ended.err


def test_names_with_brackets_and_colons_are_printed_as_they_are(likeness, portraits):
    add(likeness, "[/b] :smile: [red]", portraits["person_a_1.jpg"])
    assert references(likeness) == {"[/b] :smile: [red]": 1}
    assert "[/b] :smile: [red]" in likeness("gallery", "show", "[/b] :smile: [red]").out
    assert "[/b] :smile: [red]" in likeness("screen", portraits["person_a_2.jpg"]).out


# Screening


def test_screen_prints_one_json_object_per_picture_with_all_that_explains_it(protecting, portraits):
    given = [portraits["person_a_2.jpg"], portraits["impostor_1.jpg"]]
    ended = protecting("screen", "--json", *given)
    assert (ended.code, ended.err) == (0, "")
    macron, obama = ended.lines
    assert [macron["picture"], obama["picture"]] == list(map(str, given))
    assert (macron["verdict"], obama["verdict"], obama["findings"]) == ("review", "clear", [])
    (finding,) = macron["findings"]
    assert (finding["identity_name"], finding["identity_kind"]) == ("Emmanuel Macron", "celebrity")
    assert finding["identity_id"].startswith("idn_")
    assert finding["reference_id"].startswith("ref_")
    assert (finding["kind"], finding["threshold"]) == ("same_person", macron["threshold"])
    assert macron["threshold"] < macron["sure_threshold"] < finding["similarity"] < 1
    (face,) = macron["faces"]
    assert finding["face_box"] == face["box"]
    assert (len(face["box"]), len(face["landmarks"])) == (4, 5)
    assert 0 < face["quality"] <= 1
    assert (macron["model_pack"], macron["gallery_version"]) == ("opencv-zoo@1", 2)
    assert set(macron["milliseconds"]) == {
        "decode",
        "hash",
        "detect",
        "align",
        "embed",
        "quality",
        "match",
        "judge",
        "read",
    }
    assert (macron["width"], macron["height"]) == (722, 899)


def test_screen_takes_folders_and_passes_over_hidden_files(protecting, portraits, tmp_path):
    (tmp_path / "a" / "deeper").mkdir(parents=True)
    shutil.copy(portraits["person_b_2.jpg"], tmp_path / "a" / "deeper" / "1.jpg")
    shutil.copy(portraits["impostor_2.jpg"], tmp_path / "a" / "2.jpg")
    (tmp_path / "a" / ".hidden").write_text("no picture")
    ended = protecting("screen", "--json", tmp_path / "a", portraits["impostor_1.jpg"])
    assert ended.code == 0
    assert [line["verdict"] for line in ended.lines] == ["clear", "review", "clear"]


def test_an_own_account_silences_its_identity_and_says_so(protecting, portraits):
    given = ("screen", "--json", portraits["person_a_2.jpg"], portraits["person_b_2.jpg"], "--account")
    macron, ardern = protecting(*given, "macron-official").lines
    assert (macron["verdict"], macron["findings"], ardern["verdict"]) == ("clear", [], "review")
    (silenced,) = macron["silenced"]
    assert (silenced["identity_name"], silenced["silenced_by"]) == ("Emmanuel Macron", "own_account")
    assert protecting(*given, "somebody-else").lines[0]["verdict"] == "review"


def test_a_file_that_cannot_be_screened_is_a_line_with_its_reason_and_ends_with_2(protecting, portraits, photos):
    ended = protecting("screen", "--json", photos["truncated_or_damaged"], portraits["person_a_2.jpg"])
    assert ended.code == 2
    damaged, fine = ended.lines
    assert (damaged["verdict"], damaged["reason"]) == ("unscreenable", "truncated_or_damaged")
    assert damaged["detail"]
    assert (fine["verdict"], "reason" in fine) == ("review", False)
    assert ended.sentence == "Files that could not be screened: 1 of 2."


def test_a_picture_without_a_face_is_none_for_the_gallery_and_no_fault(protecting, photos):
    ended = protecting("screen", "--json", photos["no_face"])
    assert (ended.code, ended.lines[0]["verdict"], ended.lines[0]["faces"]) == (0, "no_face", [])


def test_a_file_above_the_limit_is_refused_and_not_read_whole(protecting, tmp_path):
    with (tmp_path / "huge.jpg").open("wb") as huge:
        huge.truncate(1 << 40)
    ended = protecting("screen", "--json", tmp_path / "huge.jpg")
    assert (ended.code, ended.lines[0]["reason"]) == (2, "too_many_bytes")


def test_a_file_whose_name_is_no_text_is_screened(protecting, portraits, tmp_path):
    name = os.fsdecode(b"avatar-\xff.jpg")
    shutil.copy(portraits["person_a_2.jpg"], tmp_path / name)
    (line,) = protecting("screen", "--json", tmp_path).lines
    assert line["picture"] == str(tmp_path / name)
    assert "review" in protecting("screen", tmp_path).out


def test_the_table_of_screen_tells_at_a_glance(protecting, portraits, photos):
    ended = protecting("screen", portraits["person_a_2.jpg"], portraits["impostor_1.jpg"], photos["not_a_picture"])
    assert ended.code == 2
    rows = {line.split("│")[1].strip(): line for line in ended.out.splitlines() if line.startswith("│")}
    for words in ("review", "same_person", "Emmanuel Macron", "0.375"):
        assert words in rows["person_a_2.jpg"]
    assert "clear" in rows["impostor_1.jpg"]
    assert "not_a_picture" in rows["not_a_picture.jpg"]


def test_what_is_not_there_cannot_be_screened(protecting, tmp_path):
    assert protecting("screen", "/no/such.jpg").sentence == "There is no picture /no/such.jpg."
    assert protecting("screen", tmp_path).sentence == "There are no files in the folders named."
    assert protecting("screen", tmp_path).code == 2


# Evaluation


@pytest.fixture(scope="module")
def faces(tmp_path_factory, portraits):
    """A folder per identity, as LFW has it: two people with two photos, two with one."""
    folder = tmp_path_factory.mktemp("faces")
    for name, portrait in PORTRAITS.items():
        person = portrait.person.replace(" ", "_")
        (folder / person).mkdir(exist_ok=True)
        number = 2 if name.endswith("_2.jpg") and name.startswith("person") else 1
        shutil.copy(portraits[name], folder / person / f"{person}_{number:04}.jpg")
    return folder


def test_evaluate_measures_open_set_identification(likeness, faces):
    ended = likeness("evaluate", faces, "--json")
    assert (ended.code, ended.err) == (0, "")
    measured = json.loads(ended.out)
    assert [measured[name] for name in ("references", "probes", "strangers", "failures")] == [2, 2, 2, 0]
    assert [point["asked_fpir"] for point in measured["open_set"]] == [0.1, 0.01, 0.003]
    assert all((point["tpir"], point["fpir"]) == (1.0, 0.0) for point in measured["open_set"])
    assert measured["verification"] is None
    assert not any(point["resolved"] for point in measured["open_set"])
    text = likeness("evaluate", faces).out
    assert all(f"needs {strangers} stranger photos" in text for strangers in (10, 100, 334))


def test_evaluate_measures_verification_by_a_pairs_file(likeness, faces, tmp_path):
    pairs = tmp_path / "pairs.txt"
    pairs.write_text(
        "1\t2\n"
        "Emmanuel_Macron\t1\t2\n"
        "Jacinda_Ardern\t1\t2\n"
        "Emmanuel_Macron\t1\tBarack_Obama\t1\n"
        "Jacinda_Ardern\t2\tRishi_Sunak\t1\n"
    )
    found = json.loads(likeness("evaluate", faces, "--pairs", pairs, "--json").out)["verification"]
    assert found == {"accuracy": 1.0, "deviation": 0.0, "folds": 1, "pairs": 4}
    text = likeness("evaluate", faces, "--pairs", pairs).out
    assert "Verification: 100.00%" in text
    assert "Open-set identification" in text


def test_where_everybody_has_several_photos_every_second_identity_is_a_stranger(likeness, portraits, tmp_path):
    for name, photo in (("a", "person_a_2"), ("b", "person_b_2"), ("c", "impostor_1"), ("d", "impostor_2")):
        (tmp_path / "faces" / name).mkdir(parents=True)
        pixels = fit(read_rgb(portraits[f"{photo}.jpg"]), 600)
        (tmp_path / "faces" / name / "1.jpg").write_bytes(jpeg(pixels))
        (tmp_path / "faces" / name / "2.jpg").write_bytes(jpeg(pixels[:, ::-1]))
    measured = json.loads(likeness("evaluate", tmp_path / "faces", "--json").out)
    assert [measured[name] for name in ("references", "probes", "strangers")] == [2, 2, 4]


def test_what_cannot_be_evaluated_is_told_in_one_sentence(likeness, faces, photos, tmp_path):
    (tmp_path / "few" / "one").mkdir(parents=True)
    for person in "abcd":
        (tmp_path / "faceless" / person).mkdir(parents=True)
        for number in "12":
            shutil.copy(photos["no_face"], tmp_path / "faceless" / person / f"{number}.jpg")
    pairs = {
        "picture.txt": b"\xff\xd8\xff\xe0",
        "empty.txt": b"",
        "zero.txt": b"1 0\nEmmanuel_Macron 1 2\n",
        "short.txt": b"1 1\nEmmanuel_Macron 1\n",
        "absent.txt": b"1 1\nEmmanuel_Macron 1 9\n",
        "words.txt": b"1 1\nEmmanuel_Macron one two\n",
        "root.txt": b"1 1\n/etc 1 2\n",
    }
    for name, content in pairs.items():
        (tmp_path / name).write_bytes(content)
    wrong = {
        ("/no/such/folder",): "There is no folder /no/such/folder.",
        (tmp_path / "few",): "needs a folder per identity: at least four, two of them with two photos or more.",
        (tmp_path / "faceless",): "Too few photos show a face",
        (faces, "--pairs", tmp_path / "no.txt"): "No such file or directory",
        (faces, "--pairs", tmp_path / "picture.txt"): "is not a pairs file",
        (faces, "--pairs", tmp_path / "empty.txt"): "is not a pairs file",
        (faces, "--pairs", tmp_path / "zero.txt"): "is not a pairs file",
        (faces, "--pairs", tmp_path / "short.txt"): "pair 1: three or four fields are expected, there are 2.",
        (faces, "--pairs", tmp_path / "absent.txt"): "names photo 9 of Emmanuel_Macron, which is not in the folder.",
        (faces, "--pairs", tmp_path / "words.txt"): "names photo one of Emmanuel_Macron",
        (faces, "--pairs", tmp_path / "root.txt"): "names photo 1 of /etc",
    }
    for words, said in wrong.items():
        ended = likeness("evaluate", *words)
        assert (ended.code, ended.out) == (2, ""), words
        assert said in ended.sentence
