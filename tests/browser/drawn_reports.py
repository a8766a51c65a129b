"""Reports of drawn people, as a moderator may find them: an honest one, an abusive one, hashes, and a minor's."""

from collections.abc import Sequence
from datetime import timedelta

from detector.identity import Embedding
from records.references import ReferencePhoto
from records.reports.contents import Challenge, Details
from tests.browser.drawn_people import DrawnPicture, Person
from tests.browser.workplace import Workplace, draw_once
from tests.support.handwriting import with_code
from tests.support.sent_reports import CODE, challenge_photo, new_report, picture_hash, report_photo, unit_vector

WORDS = "Somebody uses my photos on a dating site. A friend saw them in March."
WRITTEN = (WORDS, "My son is 14. A boy of his school has made a profile with his pictures.", "Is there news?")
"""What people of the reports wrote themselves."""


def send_report(
    place: Workplace, photos: Sequence[ReferencePhoto], challenge: Challenge | None, **facts: object
) -> str:
    """The id of a report that has come in now."""
    details = Details("mara@example.org", ("https://dating.example/u/acct-5150",), ("acct-4711",), WORDS)
    return place.desk.report_intake.take(new_report(photos, challenge, **{"details": details} | facts)).report_id


def drawn_photo(seed: int, occasion: int, face: Embedding) -> ReferencePhoto:
    drawn = draw_once(Person.of(seed), occasion)
    return report_photo(1000 * seed + occasion, face, drawn.jpeg, (drawn.width, drawn.height), drawn.box)


def drawn_challenge(seed: int, face: Embedding, read: str | None = CODE) -> Challenge:
    drawn: DrawnPicture = draw_once(Person.of(seed), 70)
    return challenge_photo(face, read, with_code(drawn.jpeg, CODE, seed), drawn.box)


def furnish_reports(place: Workplace) -> dict[str, str]:
    """One of each; their ids by what they are. Lea checks those that are not new."""
    face, other, third = unit_vector(1), unit_vector(2), unit_vector(3)
    alike = [drawn_photo(0, 30 + number, unit_vector(30 + number, face, 0.62)) for number in range(3)]
    stolen = [drawn_photo(5, 30 + number, unit_vector(40 + number, other, 0.04)) for number in range(2)]
    platform = Details(checked="They showed an identity card in a video call.")
    theirs = Details(accounts=("acct-8020",), words=WORDS)
    lea = place.desk.moderators.by_login("lea").id
    reports = {
        "minor": send_report(place, (), None, kind="words", lane="specialist", details=Details("", (), (), WRITTEN[1])),
        "honest": send_report(place, alike, drawn_challenge(0, face)),
    }
    place.clock.pass_by(timedelta(minutes=9))
    protected = [drawn_photo(8, 30, third)]
    reports |= {
        "abusive": send_report(place, stolen, drawn_challenge(2, other, "HOLA"), language="zh_Hans"),
        "hashes": send_report(place, (), None, kind="hashes", hashes=[picture_hash(number) for number in range(3)]),
        "protected": send_report(place, protected, drawn_challenge(8, third), details=theirs),
        "new": send_report(place, [drawn_photo(4, 30, unit_vector(4))], None, lane="platform", details=platform),
    }
    for name in ("minor", "honest", "abusive", "hashes", "protected"):
        place.desk.report_review.begin(reports[name], lea)
    place.desk.report_review.approve(reports["protected"], lea)
    reports["again"] = send_report(place, [drawn_photo(8, 31, third)], drawn_challenge(8, third))
    place.desk.report_review.begin(reports["again"], lea)
    place.desk.report_messages.write(reports["honest"], WRITTEN[2])
    place.desk.report_messages.write(reports["protected"], WRITTEN[2])
    return {f"report_{name}": report_id for name, report_id in reports.items()}
