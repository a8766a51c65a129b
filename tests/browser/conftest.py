"""A real Chromium and a console for it; every test fails when the browser had anything to say against a page."""

import shutil
from contextlib import closing

import pytest

from config import load_settings
from consumers.open_detector import open_watched_looking
from tests.browser.tour import Furnished, furnish
from tests.browser.workplace import workplace
from tests.support.chromium import launched
from tests.support.legs import running_leg
from tests.support.postgres import postgres_server


@pytest.fixture(scope="module")
def chromium():
    # for a module, since Playwright's loop is in the way of whoever needs one of their own in this thread
    yield from running_leg("browser", launched)


@pytest.fixture(scope="session")
def postgres():
    yield from running_leg("PostgreSQL", postgres_server)


@pytest.fixture
def settings():
    """What differs from likeness.toml under [console]; tests put their own in by parametrize."""
    return {}


@pytest.fixture(scope="session")
def looking(models):
    """Who judges photos for the gallery: the default model pack, which sees the faces of drawn people, too."""
    with closing(open_watched_looking(load_settings(home=models.parent), lambda how: None)) as opened:
        yield opened


@pytest.fixture
def place(tmp_path, chromium, looking, settings):
    """A console over SQLite."""
    with workplace(f"sqlite:///{tmp_path / 'likeness.db'}", chromium.browser, looking, **settings) as made:
        yield made


@pytest.fixture(scope="session")
def _furnished():
    """Filled at first use by `furnished`, which needs the browser of its module."""
    return {}


@pytest.fixture
def furnished(_furnished, tmp_path, tmp_path_factory, chromium, looking):
    """A console with everything of the tour in it, and the cases by what they are; made once, then copied."""
    if not _furnished:
        file = tmp_path_factory.mktemp("furnished") / "likeness.db"
        with workplace(f"sqlite:///{file}", chromium.browser, looking) as place:
            _furnished["once"] = Furnished(file, furnish(place), place.clock())
    once = _furnished["once"]
    copy = shutil.copy(once.file, tmp_path / "likeness.db")
    with workplace(f"sqlite:///{copy}", chromium.browser, looking, once.left_at) as place:
        yield place, once.cases
