"""What the service's tests share. Nothing here starts a server before a test asks for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import shares
from tests.server import photos
from tests.server.services.client import Visitor
from tests.server.services.mailbox import Mailbox
from tests.server.services.objectstore import ObjectStore
from tests.server.services.openid import OpenIdProvider
from tests.server.services.postgresql import PostgreSQL
from tests.server.services.receiver import Receiver
from tests.server.services.redis import Redis
from tests.server.services.service import Mode, Servers, Service

if TYPE_CHECKING:
    from cutline.server.config import ServerSettings

EXAMPLES = Path(__file__).parents[2] / "examples"

# The process's own Django: development mode, a folder of its own, none of the developer's variables.
for _name in [name for name in os.environ if name.startswith("CUTLINE_")]:
    del os.environ[_name]
_DATA = Path(tempfile.mkdtemp(prefix="cutline-tests-"))
os.environ["CUTLINE_DATA_DIR"] = str(_DATA)
os.environ["DJANGO_SETTINGS_MODULE"] = "cutline.server.django_settings"

import django  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402

django.setup()

# People are made by the hundred; the cost of the real hash is tests/server/account/test_accounts.py's.
django_settings.PASSWORD_HASHERS = [
    "tests.server.quick_hash.QuickArgon2",
    *django_settings.PASSWORD_HASHERS[1:],
]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks of the service's tests."""
    config.addinivalue_line("markers", "postgresql: run on PostgreSQL instead of SQLite")
    config.addinivalue_line("markers", "both_databases: run twice, on SQLite and on PostgreSQL")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the folder away."""
    shutil.rmtree(_DATA, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on the databases that its marks name."""
    if metafunc.definition.get_closest_marker("both_databases"):
        metafunc.parametrize("_database", ["sqlite", "postgresql"], indirect=True)
    elif metafunc.definition.get_closest_marker("postgresql"):
        metafunc.parametrize("_database", ["postgresql"], indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Choose the database before pytest-django opens the test's transaction in it."""
    names = getattr(item, "fixturenames", [])
    if "_database" in names:
        names.remove("_database")
        names.insert(0, "_database")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Show what the service wrote last, where a test of the running service failed."""
    report = yield
    service = getattr(item, "funcargs", {}).get("live")
    if report.failed and isinstance(service, Service):
        for process in service.processes:
            report.sections.append((f"last output of {process.name}", process.output()[-3000:]))
    return report


# -- databases -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that other users can enter: PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="cutline-services-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def postgresql(folder: Path) -> Iterator[PostgreSQL]:
    """A PostgreSQL server with nothing in it."""
    server = PostgreSQL(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Test on a file: threads that share SQLite's in-memory database see no locks."""
    from django.db import connections

    connections.settings["default"]["TEST"]["NAME"] = str(_DATA / "test.sqlite3")


@pytest.fixture(scope="session")
def _on_postgresql(
    postgresql: PostgreSQL, django_db_setup: None, django_db_blocker: Any
) -> Callable[[], Callable[[], None]]:
    """Make the migrated PostgreSQL database; a function that puts it in SQLite's place, and back."""
    import dj_database_url
    from django.core.management import call_command
    from django.db import connections

    sqlite = connections.settings["default"]
    database = {**sqlite, "OPTIONS": {}, **dj_database_url.parse(postgresql.create("unit_tests"))}
    database["TEST"] = {**sqlite["TEST"], "NAME": None}

    def swap() -> Callable[[], None]:
        before = connections["default"]
        connections.settings["default"] = database
        del connections["default"]

        def back() -> None:
            connections["default"].close()
            connections.settings["default"] = sqlite
            connections["default"] = before

        return back

    with django_db_blocker.unblock():
        back = swap()
        call_command("migrate", verbosity=0)
        back()
    return swap


@pytest.fixture(scope="session", autouse=True)
def _quick_django() -> Iterator[None]:
    """Let Django do once what is the same for all tests."""
    from tests.server.quick_django import quick_django

    with quick_django():
        yield


@pytest.fixture(autouse=True)
def _rates() -> None:
    """Count requests anew: all tests of this process come from one address."""
    from cutline.server.api.limits import forget

    forget()


@pytest.fixture(autouse=True)
def _readiness() -> None:
    """Check readiness anew: what another test found is not kept."""
    from cutline.server.health import latest

    latest.forget()


@pytest.fixture(autouse=True)
def _renditions() -> Iterator[None]:
    """Let the thread that makes renditions end before its rows and files are another test's."""
    from cutline.server.images import renditions

    yield
    assert renditions.wait_until_rendered(180)


@pytest.fixture(autouse=True)
def _receiver(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let what one test wants of the receiver, which all share, end with the test."""
    shared = request.getfixturevalue("receiver") if "receiver" in request.fixturenames else None
    yield
    if shared is not None:
        shared.forget()


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[None]:
    """Let the test run on PostgreSQL where its marks say so."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield
        return
    back = request.getfixturevalue("_on_postgresql")()
    yield
    with django_db_blocker.unblock():
        back()


# -- settings and photos ---------------------------------------------------------------------------------


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ServerSettings]]:
    """Change Cutline's settings for one test: configure(max_images=2). Django's own stay as they are."""
    from cutline.server.config import settings

    def change(**values: object) -> ServerSettings:
        for name, value in values.items():
            monkeypatch.setenv(f"CUTLINE_{name.upper()}", str(value))
        settings.cache_clear()
        return settings()

    yield change
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A real photo, as JPEG."""
    return (EXAMPLES / "cat.jpg").read_bytes()


@pytest.fixture(scope="session")
def make_photo() -> Callable[..., bytes]:
    """Small photos that all differ: make_photo(7), make_photo(7, side_px=900, format="PNG")."""
    return photos.generated


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that writes nonsense in a millisecond: for services whose captions nobody reads."""
    from tests.captioning.tiny_bundle import make_bundle

    return make_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


# -- the running service ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    """A mail server that keeps what it receives."""
    server = Mailbox()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Somebody else's web server: takes webhooks, offers photos."""
    server = Receiver()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def openid(folder: Path) -> Iterator[OpenIdProvider]:
    """A real OpenID Connect provider."""
    server = OpenIdProvider(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis(folder: Path) -> Iterator[Redis]:
    """A Redis server."""
    server = Redis(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def store(folder: Path) -> Iterator[ObjectStore]:
    """An S3 store."""
    server = ObjectStore(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=list(Mode))
def mode(request: pytest.FixtureRequest) -> Mode:
    """How the service is run; a test that asks for it, or for what is live, runs in each."""
    return Mode(request.param)


@pytest.fixture(scope="session")
def serve(
    mode: Mode, mailbox: Mailbox, openid: OpenIdProvider, request: pytest.FixtureRequest
) -> Callable[..., contextlib.AbstractContextManager[Service]]:
    """Run services in this mode: `with serve(folder, lease_s=5) as service`.

    With what it stands on, and the people around it.
    """

    @contextlib.contextmanager
    def running(place: Path, **settings: object) -> Iterator[Service]:
        servers = None
        if mode is Mode.PRODUCTION:
            names = ("postgresql", "redis", "store")
            servers = Servers(**{name: request.getfixturevalue(name) for name in names})
        settings |= {"mail_url": mailbox.url, "openid_providers": openid.setting()}
        service = Service(mode, place, servers=servers, settings=settings)
        try:
            service.start()
            shares.SERVING.callback(service.stop)
            yield service
        finally:
            service.stop()

    return running


@pytest.fixture(scope="session")
def live(
    mode: Mode, folder: Path, serve: Callable[..., contextlib.AbstractContextManager[Service]]
) -> Iterator[Service]:
    """The service, running, in each mode."""
    with serve(folder / mode) as service:
        yield service


@pytest.fixture
def new_visitor(live: Service) -> Iterator[Callable[..., Visitor]]:
    """Make visitors of the running service: new_visitor(), new_visitor(key="ck_...")."""
    with contextlib.ExitStack() as stack:
        yield lambda **words: stack.enter_context(live.visitor(**words))


@pytest.fixture
def visitor(new_visitor: Callable[..., Visitor]) -> Visitor:
    """Somebody without an account, who has not been here before."""
    return new_visitor()


@pytest.fixture
def hints_heard() -> Iterator[list[int]]:
    """Grows by one with each hint; nobody works."""
    from cutline.server.jobs import hints

    heard: list[int] = []
    hints.listen(lambda: heard.append(1))
    yield heard
    hints.listen(None)
