"""Many photos at once: as a zip, as a folder, paused and resumed; in each mode, in a real browser."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import CAT, COFFEE, Person


def test_an_archive_is_captioned(person: Person, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "trip.zip", "w") as archive:
        archive.write(CAT, "cat.jpg")
        archive.write(COFFEE, "coffee.jpg")
        archive.writestr("notes.jpg", "these are words")
    person.open("/bulk")
    person.upload(tmp_path / "trip.zip")
    person.page.wait_for_url("**/bulk/*")
    expect(person.page.get_by_role("link", name="CSV")).to_be_visible(timeout=90_000)
    expect(person.page.get_by_role("link", name="cat.jpg")).to_be_visible()
    expect(person.page.get_by_role("listitem").filter(has_text="notes.jpg")).to_contain_text("Failed")
    with person.page.expect_download() as download:
        person.page.get_by_role("link", name="CSV").click()
    assert "cat.jpg" in Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_a_folder_is_paused_and_resumed(
    person: Person, tmp_path: Path, make_photo: Callable[..., bytes]
) -> None:
    photos = 24
    (tmp_path / "trip" / "day").mkdir(parents=True)
    for number in range(photos):
        (tmp_path / "trip" / "day" / f"{number}.jpg").write_bytes(make_photo(8000 + number, side_px=900))
    page = person.page
    person.open("/bulk")
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "trip")
    page.wait_for_url("**/bulk/*")
    person.press("Pause")
    paused = page.get_by_text(re.compile(r"^Paused"))
    expect(paused).to_be_visible()
    person.page.reload()  # or come back tomorrow
    expect(paused).to_be_visible()
    assert f"{photos} of {photos}" not in paused.inner_text()
    person.press("Resume")
    expect(page.get_by_text(f"Done · {photos} of {photos} captioned, 0 failed")).to_be_visible(
        timeout=120_000
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="JSONL").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == photos
    assert all("trip/day/" in line for line in lines)
