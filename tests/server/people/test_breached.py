"""Passwords that are known from breaches are refused, offline, wherever one is set."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from cutline.errors import ConfigError
from cutline.server.people import breached
from cutline.server.people.breached import BloomFilter, is_known
from tests.e2e import conftest as end_to_end
from tests.server.account.accounts import PASSWORD, Person

LEAKED = "1q2w3e4r5t6y"
NEW = "another fine long password"


@pytest.mark.parametrize(
    "password",
    [LEAKED, LEAKED.upper(), "liverpoolfc", "Liverpool2024", "manchester1!", "SUNSHINE!!", "basketball99"],
)
def test_a_leaked_password_is_known_as_it_is_or_lengthened(password: str) -> None:
    assert is_known(password)


@pytest.mark.parametrize("password", [PASSWORD, end_to_end.PASSWORD, NEW, "", "Zwölf Boxkämpfer jagen"])
def test_other_passwords_are_not(password: str) -> None:
    assert not is_known(password)


def test_hardly_any_other_password_is_taken_for_a_leaked_one() -> None:
    chance = random.Random(7)
    letters = string.ascii_letters + string.digits
    taken = sum(is_known("".join(chance.choices(letters, k=14))) for _ in range(20_000))
    assert taken <= 20


def test_what_ships_is_small() -> None:
    assert breached.SHIPPED.stat().st_size <= 2**20 + 64
    assert "CC BY-SA 3.0" in breached.SHIPPED.with_suffix(".md").read_text("utf-8")


@pytest.mark.django_db
def test_a_leaked_password_is_refused_at_sign_up_and_at_a_change(person: Person) -> None:
    answer = person.account("POST", "auth/signup", email=person.email, password=LEAKED)
    assert answer.status_code == 400
    told = {(error["code"], error["param"]) for error in answer.json()["errors"]}
    assert ("password_breached", "password") in told
    person.sign_up()
    change = {"current_password": PASSWORD, "new_password": LEAKED}
    assert person.account("POST", "account/password/change", **change).status_code == 400
    assert (
        person.account("POST", "account/password/change", **change | {"new_password": NEW}).status_code == 200
    )


def test_an_operator_s_own_list_becomes_a_filter(tmp_path: Path, configure: Callable[..., object]) -> None:
    (tmp_path / "list.txt").write_text("house words\nHunter\nabc\n\ngrüße aus köln\n", "utf-8")
    made = tmp_path / "own.bloom"
    call_command("build_password_filter", tmp_path / "list.txt", output=made, mebibytes=0.001)
    found = BloomFilter.read(made)
    assert [text in found for text in ("house words", "hunter", "grüsse aus köln", "abc")] == [True] * 3 + [
        False
    ]
    configure(breached_passwords=made)
    breached._filter.cache_clear()
    try:
        assert is_known("House Words")
        assert is_known("Hunter12345")
        assert not is_known(LEAKED)
    finally:
        breached._filter.cache_clear()


def test_lists_that_do_not_fit_or_say_nothing_are_refused(tmp_path: Path) -> None:
    made = tmp_path / "own.bloom"
    (tmp_path / "long.txt").write_text("".join(f"long password {number}\n" for number in range(1000)))
    (tmp_path / "empty.txt").write_text("\n")
    for name, why in (
        ("long.txt", "--mebibytes"),
        ("empty.txt", "no passwords"),
        ("none.txt", "cannot be read"),
    ):
        with pytest.raises(CommandError, match=why):
            call_command("build_password_filter", tmp_path / name, output=made, mebibytes=0.001)
    assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"CBF1", b"x" * 100])
def test_another_file_is_no_filter(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.bloom").write_bytes(content)
    with pytest.raises(ConfigError, match="no filter of passwords"):
        BloomFilter.read(tmp_path / "x.bloom")
