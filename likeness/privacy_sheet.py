"""The data protection impact sheet: what this deployment keeps of people, why, for how long and under which key.

It has the facts that the law asks an assessment to begin with (GDPR, article 35 (7); PIPL, articles 55 and 56; China's
measures on facial recognition of 2025). What weighs them, the platform's own purposes and risks, people must write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from config import Settings
from consumers.topics import topic_table
from records.faces_kept import FILING_AT, Inventory
from records.keys.keyring import MasterKey
from records.reports.erasure import ANSWER_DAYS

DAY_MS = 24 * 3600 * 1000
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A table of the sheet. note: what stands below it."""

    heading: str
    columns: Row
    rows: Sequence[Row]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`counts` is for programs; `parts` is what people read."""

    made_at: datetime
    counts: Mapping[str, object]
    parts: Sequence[Part]

    def as_markdown(self) -> str:
        lines = [f"# Data protection impact sheet of {self.made_at:%Y-%m-%d %H:%M} UTC", ""]
        for part in self.parts:
            lines += [f"## {part.heading}", "", _row(part.columns), _row(["---"] * len(part.columns))]
            lines += [*(_row(row) for row in part.rows), ""]
            if part.note:
                lines += [part.note, ""]
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        tables = {part.heading: [dict(zip(part.columns, row, strict=True)) for row in part.rows] for part in self.parts}
        notes = {part.heading: part.note for part in self.parts if part.note}
        return {"made_at": self.made_at.isoformat(), "counts": self.counts, "tables": tables, "notes": notes}


def privacy_sheet(settings: Settings, found: Inventory, master_key: MasterKey, now: datetime) -> Sheet:
    """The sheet of what `found` counts, under these settings. Raises MasterKeyError."""
    counts = asdict(found) | {"people_with_faces": found.people.total, "filing_at": FILING_AT}
    parts = (
        _people(settings, found),
        _purposes(settings),
        _kept(settings, found),
        _topics(settings),
        _recipients(settings, found),
        _keys(settings, found, master_key),
        _measures(),
        _duties(found),
    )
    return Sheet(now, _plain(counts), parts)


def _people(settings: Settings, found: Inventory) -> Part:
    probes = (
        f"all avatars of {settings.look_back.days} days" if settings.look_back.days else "none (look_back.days = 0)"
    )
    rows = (
        ("protected people with a face in the gallery", str(found.people.gallery)),
        ("of the gallery, by kind", _listed(found.identities)),
        ("photos in the gallery", str(found.references)),
        ("reports with photos that are not in the gallery", str(found.people.reports)),
        ("reports, by state", _listed(found.reports)),
        (
            "consents in force",
            f"{found.consents}" + (f", the next ends {found.next_end:%Y-%m-%d}" if found.next_end else ""),
        ),
        ("accounts whose avatar is kept with a case", str(found.people.cases)),
        ("faces kept for looking back", probes),
        ("people erased so far, by request", _listed(found.erasures)),
        ("people with faces, together, at most", str(found.people.total)),
    )
    note = (
        "One person may be counted in several rows; copies that the platform keeps of its own avatars are not counted."
    )
    return Part("Whose faces, and how many", ("what", "how many"), rows, note)


def _purposes(settings: Settings) -> Part:
    consent = "explicit consent, separate and taken back at any time (GDPR 9 (2) (a); PIPL 14, 15, 29)"
    rows = [
        ("protecting who reports: their face is looked for among avatars", consent),
        (
            "protecting well-known people who have not asked",
            "to be named by the platform: an interest in safety alone does not allow biometrics under GDPR 9",
        ),
        (
            "comparing each new avatar with the gallery; nothing is kept of one that matches nothing",
            "to be named by the platform: its users are told, and agree where the law asks for it",
        ),
        (
            "a moderator's review of a case, and what became of it",
            "GDPR 6 (1) (c) with DSA 16, 17, 20; PIPL 13 (3)",
        ),
        ("evidence for the person's lawyer or the police", "GDPR 9 (2) (f); only by request, released by a lead"),
        ("the log of who saw and decided what", "GDPR 5 (2), 32; PIPL 51, 55"),
    ]
    if settings.look_back.days:
        rows.insert(
            3,
            (
                f"keeping the faces of all avatars for {settings.look_back.days} days, to look back for new reporters",
                "to be named by the platform: the heaviest part of the processing, off by default",
            ),
        )
    note = "Never: training of models, advertising, a search for strangers. Bases are those this program is built for."
    return Part("What for, and on which basis", ("purpose", "legal basis"), rows, note)


def _kept(settings: Settings, found: Inventory) -> Part:
    days = f"{settings.console.picture_days} days"
    months = ", ".join(str(one) for one in settings.reports.months)
    rows = (
        ("photos, embeddings and fingerprints of the gallery", "database, sealed", "the person's", "until erased"),
        (
            "the same of who reported",
            "database, sealed",
            "the person's",
            f"{months} months, as they chose, or until taken back",
        ),
        ("what a reporter wrote, contact, messages, challenge", "database, sealed", "the report's", "as long"),
        (
            "a report that was refused",
            "database, sealed",
            "the report's",
            f"photos are erased at once, the rest after {ANSWER_DAYS} days",
        ),
        (
            "a report that is being written",
            "database, sealed",
            "the browser's own",
            f"{settings.reports.draft_minutes} min",
        ),
        ("addresses and browsers, as keyed hashes", "database", "-", "a day"),
        ("avatars of cases and where faces lie in them", "database, sealed", "the case's", days),
        (
            "faces of all avatars",
            "topic, sealed",
            "the day's",
            f"{settings.look_back.days} days" if settings.look_back.days else "not kept",
        ),
        ("names of well-known people, own accounts, decisions", "database", "-", "until the person is erased"),
        ("cases and what was decided, without pictures", "database", "-", "until the operator deletes them"),
        ("what accounts' holders say in appeals", "database", "-", "as the case; of an erased person until answered"),
        ("audit log: ids only", "database", "-", "until the operator deletes it; PIPL 56 asks for three years"),
    )
    return Part("What is kept, where, and for how long", ("what", "where", "under which key", "for how long"), rows)


def _topics(settings: Settings) -> Part:
    topics = settings.topics
    holds = {
        topics.uploads: "avatars or their addresses, as the platform sends them",
        topics.screenings: "verdicts, without biometrics",
        topics.reviews: "ids and similarities of suspicions, for moderators",
        topics.dead_letters: "uploads that could not be screened, as they came",
        topics.decisions: "what moderators decided",
        topics.reports: "reports from the platform's own form, sealed for this deployment's public key",
        topics.probes: "faces of avatars, sealed with the key of their day",
        topics.gallery_changes: "the gallery, sealed with each person's key",
    }
    rows = []
    for topic in topic_table(topics, settings.kafka, settings.look_back.days):
        limit = dict(topic.configs).get("retention.ms")
        kept = f"{int(limit) // DAY_MS} days" if limit else "the newest of each person"
        rows.append((topic.name, holds[topic.name], kept))
    return Part("Topics, as they are made", ("topic", "what it holds", "for how long"), rows)


def _recipients(settings: Settings, found: Inventory) -> Part:
    rows = [
        ("people of the console, by role", _listed(found.people_with_access)),
        ("the platform", "screenings without biometrics; reviews and decisions with ids"),
        ("a reporter", "that action was taken, and how often: never against whom, never a similarity"),
        (
            "ROOST Coop",
            f"ids and links of cases, at {settings.coop.url}" if settings.coop.url else "nothing: not in use",
        ),
        (
            "the mail server",
            "contact, and that there is news, consent ends soon, or all is erased"
            if settings.mail.host
            else "nothing: not in use",
        ),
        ("anybody else", "nobody: models run here, nothing is sent to a service"),
    ]
    return Part("Who receives what", ("who", "what"), rows)


def _keys(settings: Settings, found: Inventory, master_key: MasterKey) -> Part:
    since = master_key.source.changed_at()
    where = (
        "sealed by AWS KMS, in a file"
        if settings.keys.kms_key_id
        else "in the settings"
        if settings.keys.master_key
        else "in a file"
    )
    state = f"{len(master_key.ids)} in force, " + (f"changed {since:%Y-%m-%d}" if since else "age unknown")
    rows = [("master key", where, state)]
    rows += [
        (table, "wrapped by the master key", f"oldest of {made:%Y-%m-%d}") for table, made in found.keys_since.items()
    ]
    return Part("Keys", ("key", "where it rests", "age"), rows, "AES-256-GCM throughout; see docs/privacy.md.")


def _measures() -> Part:
    rows = (
        (
            "somebody enrols another person's face",
            "challenge photo with a code of the day; a moderator approves; conflicts are shown",
        ),
        (
            "a search engine for strangers",
            "no answer tells of a match; limits per address and browser; similarity stays in the house",
        ),
        (
            "a false match harms a user",
            "a person decides, four eyes for victims; own accounts and look-alikes are learnt; appeals",
        ),
        ("unequal errors between groups", "thresholds by calibration, reported by cohort: docs/accuracy.md"),
        (
            "the database or a copy of it is stolen",
            "sealed under keys that rest elsewhere; rotation and destruction of the master key",
        ),
        (
            "staff look without need",
            "faces are shown for a case or report in hand only; every look is in a chained log",
        ),
        ("consent ends or is taken back", "matching stops within seconds; the key is destroyed; a signed receipt"),
        ("a picture attacks the machine", "decoded in a process of its own, with limits"),
    )
    note = (
        "Which risks are left, how likely and how heavy they are, and who was consulted: to be written by the platform."
    )
    return Part("Risks and what is done about them", ("risk", "measure"), rows, note)


def _duties(found: Inventory) -> Part:
    share = found.people.total / FILING_AT
    rows = (
        ("GDPR 35; PIPL 55 (1)", "an assessment before the processing begins: biometrics, on a large scale"),
        ("GDPR 36", "asking the supervisory authority first, where a high risk is left"),
        ("PIPL 56", "assessment and record of processing are kept for three years"),
        (
            "PIPL 29, 31; China's measures of 2025",
            "separate consent; of a guardian under 14; another way for who refuses",
        ),
        (
            "China's measures of 2025, 15",
            f"filing within 30 working days of {FILING_AT:,} people's faces; here {found.people.total:,} ({share:.0%})",
        ),
    )
    return Part("Duties", ("rule", "what it asks"), rows, "No legal advice: a lawyer of the place must read it.")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _listed(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items()) or "0"


def _plain(value: object) -> dict[str, object]:
    """The counts as JSON has them."""

    def plain(one: object) -> object:
        if isinstance(one, Mapping):
            return {str(name): plain(inner) for name, inner in one.items()}
        if isinstance(one, tuple):
            return [plain(inner) for inner in one]
        return one if one is None or isinstance(one, int | str) else str(one)

    made = plain(value)
    assert isinstance(made, dict)
    return made
