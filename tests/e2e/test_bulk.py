"""Many photos at once: as a zip, as a folder, paused and resumed; in a real browser."""

from __future__ import annotations

import base64
import io
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
    expect(person.page.get_by_role("link", name="CSV")).to_be_visible()
    done = person.page.get_by_role("link", name="cat.jpg")
    expect(done).to_have_text(re.compile(r"^cat\.jpg.*\w+ \w+"))  # its caption
    expect(person.page.get_by_role("listitem").filter(has_text="notes.jpg")).to_contain_text("Failed")
    with person.page.expect_download() as download:
        person.page.get_by_role("link", name="CSV").click()
    assert "cat.jpg" in Path(download.value.path()).read_text(encoding="utf-8-sig")
    done.click()
    person.page.wait_for_url("**/images/*")


def test_an_archive_is_dropped_on_the_page(person: Person) -> None:
    person.open("/bulk")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(CAT, "Süden/Kätzchen 😀.jpg")
    what = person.page.evaluate_handle(
        """text => {
            const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
            const dropped = new DataTransfer();
            dropped.items.add(new File([bytes], 'trip.zip', {type: 'application/zip'}));
            return dropped;
        }""",
        base64.b64encode(archive.getvalue()).decode(),
    )
    place = person.page.get_by_text("Upload a ZIP or a folder", exact=True)
    place.dispatch_event("dragover", {"dataTransfer": what})
    place.dispatch_event("drop", {"dataTransfer": what})
    person.page.wait_for_url("**/bulk/*")
    expect(person.heading).to_have_text("trip.zip")
    expect(person.page.get_by_text("1 of 1 captioned")).to_be_visible()
    expect(person.page.get_by_role("link", name="Süden/Kätzchen 😀.jpg")).to_be_visible()


def test_an_archive_without_files_and_a_bulk_that_is_none_say_so(person: Person, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    person.open("/bulk")
    person.upload(tmp_path / "empty.zip")
    expect(person.page.get_by_text("No files found")).to_be_visible()
    person.open("/bulk/none-of-ours")
    expect(person.page.get_by_text("Page not found")).to_be_visible()


def test_a_folder_is_paused_and_resumed(
    person: Person, tmp_path: Path, make_photo: Callable[..., bytes]
) -> None:
    photos = 48  # takes longer than finding the button, on any machine
    (tmp_path / "trip" / "day").mkdir(parents=True)
    for number in range(photos):
        (tmp_path / "trip" / "day" / f"{number}.jpg").write_bytes(make_photo(8000 + number, side_px=400))
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
    expect(page.get_by_text(f"Done · {photos} of {photos} captioned, 0 failed")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSONL").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == photos
    assert all("trip/day/" in line for line in lines)
