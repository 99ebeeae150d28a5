"""`cutline serve --host`: who gets in, and what everybody is told."""

from __future__ import annotations

import logging
import os
from typing import Any

import click
import pytest
from django.test import Client

from cutline.cli import _network, serve
from cutline.errors import OptionError
from cutline.server.config import ServerSettings, settings

NAMES = ("laptop", "laptop.local", "192.168.1.5", "[fd00::5]")


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(_network, "own_names", lambda: NAMES)
    monkeypatch.setenv("CUTLINE_HOSTS", "")
    monkeypatch.delenv("CUTLINE_HOSTS")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def hosts(host: str = "0.0.0.0", choice: bool | None = None) -> tuple[str, ...]:
    """What the service answers to, once it was decided."""
    serve._let_network_in(host, choice=choice)
    return settings().hosts


def said(caplog: pytest.LogCaptureFixture, host: str, **words: Any) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, "cutline.serve"):
        serve._say_where(host, 8000, ServerSettings(**words))
    return "\n".join(record.getMessage() for record in caplog.records)


def test_the_flag_lets_the_machine_s_own_names_in() -> None:
    assert hosts(choice=True) == ("127.0.0.1", "localhost", "[::1]", *NAMES)


@pytest.mark.parametrize("choice", [False, None])
def test_nobody_else_gets_in_without_a_word(choice: bool | None) -> None:
    assert hosts(choice=choice) == ("127.0.0.1", "localhost", "[::1]")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.168.1.5", "192.168.1.5"),
        ("192.168.56.1", "192.168.56.1"),
        ("fd00:0::6", "[fd00::6]"),
        ("Nas", "nas"),
    ],
)
def test_an_address_to_listen_on_is_answered_to(
    host: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    ours = ("127.0.0.1", "localhost", "[::1]")
    assert hosts(host) == (*ours, name)
    assert said(caplog, host, hosts=settings().hosts) == f"Cutline is at http://{name}:8000"
    os.environ.pop("CUTLINE_HOSTS")
    settings.cache_clear()
    assert hosts(host, choice=False) == ours
    assert hosts(host, choice=True)[3] == name
    assert set(NAMES) < set(settings().hosts)


@pytest.mark.parametrize("answer", [True, False])
def test_a_terminal_is_asked(answer: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr(click, "confirm", lambda text, err: answer)
    assert ("192.168.1.5" in hosts()) is answer
    assert "laptop.local, 192.168.1.5" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_where_nobody_else_could_get_in_nobody_is_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_network, "lets_others_in", None)
    assert hosts(host) == ("127.0.0.1", "localhost", "[::1]")
    with pytest.raises(OptionError, match="nobody else"):
        hosts(host, choice=True)


def test_what_an_operator_has_chosen_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTLINE_HOSTS", "photos.example.org")
    settings.cache_clear()
    assert hosts() == ("photos.example.org",)
    assert hosts(choice=True) == ("photos.example.org", *NAMES)


def test_production_takes_its_names_from_the_setting_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings().model_copy(update={"mode": "production"})
    monkeypatch.setattr("cutline.server.config.settings", lambda: made)
    assert made.development is False
    with pytest.raises(OptionError) as caught:
        serve._let_network_in("0.0.0.0", choice=True)
    assert "CUTLINE_HOSTS" in caught.value.hint
    serve._let_network_in("0.0.0.0", choice=None)
    assert "CUTLINE_HOSTS" not in os.environ


def test_the_start_names_the_addresses_that_work(caplog: pytest.LogCaptureFixture) -> None:
    everything = said(caplog, "0.0.0.0", hosts=("127.0.0.1", *NAMES))
    assert "http://127.0.0.1:8000, http://laptop:8000, http://laptop.local:8000" in everything
    assert "http://[fd00::5]:8000" in everything
    assert "CUTLINE_HOSTS" not in everything
    assert said(caplog, "127.0.0.1") == "Cutline is at http://127.0.0.1:8000"
    assert said(caplog, "::1") == "Cutline is at http://[::1]:8000"
    assert said(caplog, "192.168.1.5", hosts=("192.168.1.5",)) == "Cutline is at http://192.168.1.5:8000"


def test_the_start_names_what_an_operator_chose_and_nothing_that_gets_400(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chosen = ("photos.example.org",)
    assert said(caplog, "0.0.0.0", hosts=chosen) == "Cutline is at http://photos.example.org:8000"
    assert said(caplog, "192.168.1.5", hosts=chosen) == "Cutline is at http://photos.example.org:8000"
    behind_a_proxy = said(caplog, "127.0.0.1", hosts=chosen)
    assert behind_a_proxy == (
        "Cutline listens on http://127.0.0.1:8000, but answers only to the names of CUTLINE_HOSTS:"
        " photos.example.org."
    )
    for pattern in (".example.org", "*"):
        assert "others on the network get 400" not in said(caplog, "0.0.0.0", hosts=("127.0.0.1", pattern))
    assert "Cutline is at" not in said(caplog, "192.0.2.2")
    assert "answers to none of its addresses" in said(caplog, "192.0.2.2")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_the_start_says_what_keeps_others_out(host: str, caplog: pytest.LogCaptureFixture) -> None:
    text = said(caplog, host)
    assert "others on the network get 400" in text
    assert "--network" in text
    assert "CUTLINE_HOSTS" in text


def test_every_private_address_of_the_machine_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here = [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.56.1",
        "172.17.0.1",
        "100.101.102.103",
        "8.8.8.8",
        "100.128.0.1",
    ]
    there = ["::1", "fd12:3456::7", "fe80::1", "2a00:1450::1"]
    monkeypatch.setattr(_network, "_probed_addresses", lambda: iter(["192.168.1.5", "fe80::1%eth0"]))
    monkeypatch.setattr(_network, "_interface_addresses", lambda: iter([*here, *there]))
    assert _network._private_addresses() == [
        *("192.168.1.5", "10.1.2.3", "192.168.56.1", "172.17.0.1", "100.101.102.103", "[fd12:3456::7]")
    ]


@pytest.mark.skipif(os.name != "posix", reason="the system has another way to ask")
def test_the_interfaces_of_the_machine_are_asked() -> None:
    assert "127.0.0.1" in list(_network._interface_addresses())


def test_this_machine_s_names_are_private() -> None:
    pytest.MonkeyPatch().undo()
    for name in _network._private_addresses():
        assert _network.is_for_others(name)


@pytest.mark.parametrize("path", ["/", "/api/v1/models", "/gallery", "/api/v1/nothing"])
@pytest.mark.parametrize("host", ["192.168.1.5:8000", "evil.example", "a b<script>", "x" * 5000])
def test_a_name_that_is_not_ours_is_told_which_setting(
    path: str, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = Client().get(path, headers={"Host": host})
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "CUTLINE_HOSTS" in text
    assert "--network" in text
    assert "<script" not in text
    if path.startswith("/api/"):
        assert answer.json()["code"] == "malformed"
    assert any("CUTLINE_HOSTS" in record.getMessage() for record in caplog.records)
    assert not any(
        record.exc_info for record in caplog.records if record.name != "django.security.DisallowedHost"
    )


def test_django_s_own_traceback_of_a_wrong_name_is_not_logged() -> None:
    assert not logging.getLogger("django.security.DisallowedHost").isEnabledFor(logging.ERROR)
