"""The demo: real broker, consumer, console and portraits; a table, a contact sheet, and an honest exit code.

1. portraits and models  2. broker  3. `likeness run`  4. enrol two public figures  5. upload, one event after
the other, and wait for each outcome on the topics  6. table and contact sheet  7. `likeness serve`, until every
review is a case  8. one victim's road, from the report to its withdrawal. In a terminal all of it keeps running until
Ctrl-C.
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console

from config import Settings, load_settings, packaged
from demo.broker import BrokerUnavailable, EmbeddedBroker, free_port
from demo.console import LOGIN, add_lead, console_settings, demo_desk, wait_for_cases
from demo.events import ARDERN, ARDERN_ACCOUNT, MACRON, DemoEvent, make_events
from demo.portraits import PORTRAITS, fetch_portraits
from demo.program import running, wait_until_ready
from demo.sheet import SheetEntry, contact_sheet
from demo.table import outcome_table, road_table
from demo.uploads import Outcome, upload_all
from demo.victim import NOTE, VICTIM, Surroundings, victims_road
from detector.packs import PackError, pull, read_packs
from likeness.enrolling import Enroller
from likeness.workbench import open_workbench
from records.references import Person

console = Console(width=None if sys.stdout.isatty() else 180)


def main() -> int:
    started = time.monotonic()
    _forget_settings()
    home = load_settings().home / "demo"
    for stale in ("work", "run"):
        shutil.rmtree(home / stale, ignore_errors=True)
    with ExitStack() as stack:
        pack = read_packs(packaged("models.toml"))["opencv-zoo"]
        console.print("Getting the default model pack and six portraits ...")
        pull(pack, home / "models" / pack.name)
        portraits = fetch_portraits(home / "portraits")
        shutil.copytree(home / "models", home / "run" / "models")
        broker = stack.enter_context(EmbeddedBroker(home / "work"))
        pictures = home / "work" / "pictures"
        pictures.mkdir(parents=True)
        port = stack.enter_context(_serving(pictures))
        settings = _settings(home, broker, port)
        console.print(f"Kafka broker on {broker.bootstrap_servers}. Starting the screening consumer ...")
        consumer_log = home / "work" / "consumer.log"
        stack.enter_context(running("run", settings, consumer_log))
        references = _enrol(settings, portraits)
        console.print("Enrolled Emmanuel Macron (2014) and Jacinda Ardern (2018), one photo each.\n")
        wait_until_ready(settings, consumer_log, f"likeness_gallery_references {len(references)}.0")
        events = make_events(portraits)
        outcomes = upload_all(settings, events, pictures, port)
        console.print(outcome_table(events, outcomes))
        sheet = pictures / "contact-sheet.html"
        sheet.write_text(_sheet(events, outcomes, references))
        right = sum(outcome.matches(event) for event, outcome in zip(events, outcomes, strict=True))

        console.print("Starting the moderation console ...")
        moderation = console_settings(settings)
        log = home / "work" / "console.log"
        stack.enter_context(running("serve", moderation, log))
        desk = stack.enter_context(demo_desk(moderation))
        wait_until_ready(moderation, log)
        reviews = [outcome.review for outcome in outcomes if outcome.review]
        cases = wait_for_cases(desk, reviews)
        address, password = f"http://127.0.0.1:{moderation.web.port}", add_lead(desk)
        console.print(f"\nOne victim's road. {NOTE}\n")
        around = Surroundings(settings, address, desk, password, len(references), consumer_log, pictures, port)
        stages = victims_road(around, portraits[VICTIM].read_bytes())
        console.print(road_table(stages))
        walked = all(stage.right for stage in stages)
        console.print(
            f"{right} of {len(events)} uploads ended as expected, {cases} of {len(reviews)} reviews are cases for "
            f"moderators, the victim's road went {'as it must' if walked else 'WRONG'}; "
            f"{time.monotonic() - started:.1f} s in all.\nContact sheet: {sheet}"
        )
        if sys.stdin.isatty() and sys.stdout.isatty():
            console.print(f"  the console  {address}  login {LOGIN}, password {password}", highlight=False)
            console.print(f"  to report    {address}/report", highlight=False)
            console.print(f"  the sheet    http://127.0.0.1:{port}/{sheet.name}", highlight=False)
            console.print(f"  the metrics  http://127.0.0.1:{settings.http.port}/metrics", highlight=False)
            console.print("Ctrl-C ends the demo.")
            _sleep_until_interrupted()
    return 0 if right == len(events) and cases == len(reviews) and walked else 1


def _forget_settings() -> None:
    """What the caller has set for a real deployment must not lead the demo there."""
    for name in [name for name in os.environ if name.startswith("LIKENESS_") and name != "LIKENESS_HOME"]:
        del os.environ[name]


def _settings(home: Path, broker: EmbeddedBroker, port: int) -> Settings:
    return load_settings(
        home=home / "run",
        kafka={
            "bootstrap_servers": broker.bootstrap_servers,
            "session_timeout_ms": 2000,
            "extra": {"fetch_max_wait_ms": 20},  # the embedded broker answers late when it has to wait for messages
        },
        fetch={
            "allowed_hosts": ["127.0.0.1"],
            "private_hosts": [f"127.0.0.1:{port}"],
            "file_root": home / "work" / "pictures",
        },
        http={"host": "127.0.0.1", "port": free_port()},
    )


@contextmanager
def _serving(folder: Path) -> Iterator[int]:
    """A web server over `folder` on loopback; its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """The table tells what happened."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _enrol(settings: Settings, portraits: dict[str, Path]) -> dict[str, bytes]:
    """Enrol two public figures; the gallery's copies of their photos by identity id."""
    people = (
        (Person(MACRON, "celebrity", PORTRAITS["person_a_1.jpg"].credit), "person_a_1.jpg"),
        (Person(ARDERN, "celebrity", PORTRAITS["person_b_1.jpg"].credit, (ARDERN_ACCOUNT,)), "person_b_1.jpg"),
    )
    photos = {}
    with open_workbench(settings) as bench:
        enroller = Enroller(bench, settings)
        for person, photo in people:
            enrolled = enroller.enrol(person, [portraits[photo]], all_or_none=True)
            identity_id = str(enrolled.identity_id)
            reference = bench.records.show(identity_id).references[0]
            photos[identity_id] = bench.records.reference_photo(reference.id)
    return photos


def _sheet(events: list[DemoEvent], outcomes: list[Outcome], references: dict[str, bytes]) -> str:
    entries = []
    for event, outcome in zip(events, outcomes, strict=True):
        finding = outcome.review["findings"][0] if outcome.review else None
        if finding:
            said = " ".join(one["text"] for one in outcome.findings)
        elif outcome.dead_letter:
            said = f"{outcome.dead_letter['reason']}: {outcome.dead_letter['detail']}"
        else:
            said = "an own account is never flagged" if event.account_id == ARDERN_ACCOUNT else "matches nobody"
        entries.append(
            SheetEntry(
                title=event.title,
                picture=event.picture,
                verdict=outcome.verdict,
                explanation=said,
                box=tuple(finding["face_box"]) if finding else None,
                reference=references[finding["identity_id"]] if finding else None,
                reference_caption=f"reference: {finding['identity_name']}" if finding else "",
            )
        )
    return contact_sheet(entries, [portrait.credit for portrait in PORTRAITS.values()])


def _sleep_until_interrupted() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("Ending.")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokerUnavailable, PackError, TimeoutError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
