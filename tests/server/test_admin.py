"""The admin: who gets in, what the first page says, and that every act of staff is on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.staticfiles import finders
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from unfold.settings import CONFIG_DEFAULTS
from unfold.utils import convert_color

from cutline.server.admin.site import StaffAdmin
from cutline.server.api import limits
from cutline.server.bulk.models import Bulk
from cutline.server.captions.models import Caption
from cutline.server.feedback.models import Rating
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job, JobState
from cutline.server.people.models import Owner, Role, User
from cutline.server.webhooks.models import Webhook

pytestmark = pytest.mark.django_db

As = Callable[[Role], Client]


@pytest.fixture
def signed_in() -> As:
    """A browser of somebody with this role."""
    limits.forget()

    def make(role: Role) -> Client:
        user = User.objects.create_user(f"{role}@example.org", "a long enough password", role=role)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def owner() -> Owner:
    """Somebody with a captioned and rated photo."""
    owner = Owner.objects.create()
    image = Image.objects.create(owner=owner, content_hash="1", width_px=1, height_px=1)
    now = timezone.now()
    job = Job.objects.create(owner=owner, image=image, state=JobState.DONE, ended_at=now)
    caption = Caption.objects.create(image=image, job=job, rank=0, text="a dog", log_prob=-1, model="m@1")
    Rating.objects.create(caption=caption, viewer=owner, value=-1)
    return owner


@pytest.mark.parametrize("role", list(Role))
def test_the_admin_opens_for_staff(signed_in: As, role: Role) -> None:
    status = signed_in(role).get("/admin/").status_code
    assert status == (302 if role == Role.USER else 200)


def test_somebody_whose_account_is_closed_stays_out(signed_in: As) -> None:
    client = signed_in(Role.ADMIN)
    User.objects.update(is_active=False)
    assert client.get("/admin/").status_code == 302


def test_the_first_page_shows_numbers_and_charts(signed_in: As, owner: Owner) -> None:
    page = signed_in(Role.REVIEWER).get("/admin/").content.decode()
    assert "1 today, 0 in the gallery" in page
    assert page.count('class="chart"') >= 2
    assert "m@1" in page


def test_the_menu_holds_what_the_role_may_open(signed_in: As) -> None:
    mails, actions = reverse("admin:mail_mail_changelist"), reverse("admin:admin_logentry_changelist")
    for role, shown in ((Role.ADMIN, True), (Role.MODERATOR, False), (Role.REVIEWER, False)):
        client = signed_in(role)
        page = client.get("/admin/").content.decode()
        for path in (mails, actions):
            assert (path in page) is shown
            assert client.get(path).status_code == (200 if shown else 403)


def test_an_act_of_staff_is_done_and_on_record(signed_in: As, owner: Owner) -> None:
    bulk = Bulk.objects.create(owner=owner, state="running", name="my secret trip.zip")
    client = signed_in(Role.ADMIN)
    page = client.get(reverse("admin:bulk_bulk_change", args=[bulk.pk])).content.decode()
    assert 'value="pause"' in page
    assert "my secret trip" not in page
    press = {"action": "pause", "_selected_action": [str(bulk.pk)], "index": "0"}
    assert client.post(reverse("admin:bulk_bulk_changelist"), press).status_code == 302
    bulk.refresh_from_db()
    assert bulk.state == "paused"
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message, entry.user.email) == (
        str(bulk.pk),
        "paused",
        "admin@example.org",
    )
    assert "secret" not in entry.object_repr


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.MODERATOR])
def test_others_do_not_see_the_buttons_and_cannot_press_them(signed_in: As, owner: Owner, role: Role) -> None:
    bulk = Bulk.objects.create(owner=owner, state="running")
    client = signed_in(role)
    page = client.get(reverse("admin:bulk_bulk_change", args=[bulk.pk])).content.decode()
    assert 'value="pause"' not in page
    client.post(
        reverse("admin:bulk_bulk_changelist"), {"action": "pause", "_selected_action": [str(bulk.pk)]}
    )
    bulk.refresh_from_db()
    assert bulk.state == "running"
    assert not LogEntry.objects.exists()


def test_a_form_from_another_site_does_nothing(owner: Owner) -> None:
    User.objects.create_user("admin@example.org", "a long enough password", role=Role.ADMIN)
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get())
    bulk = Bulk.objects.create(owner=owner, state="running")
    answer = client.post(
        reverse("admin:bulk_bulk_changelist"), {"action": "cancel", "_selected_action": [str(bulk.pk)]}
    )
    assert answer.status_code == 403
    bulk.refresh_from_db()
    assert bulk.state == "running"


def test_a_webhook_s_secret_and_path_are_shown_to_nobody(signed_in: As, owner: Owner) -> None:
    webhook = Webhook.objects.create(
        owner=owner, url="https://example.org/secret-path", secret="whsec_known-to-us", events=["bulk.done"]
    )
    client = signed_in(Role.ADMIN)
    for path in (
        reverse("admin:webhooks_webhook_changelist"),
        reverse("admin:webhooks_webhook_change", args=[webhook.pk]),
    ):
        page = client.get(path).content.decode()
        assert "example.org" in page
        assert "secret-path" not in page
        assert "known-to-us" not in page


def test_every_model_page_is_bound_to_the_roles() -> None:
    """Whoever registers a page with a class that knows no roles fails here."""
    for model, page in admin.site._registry.items():
        assert isinstance(page, StaffAdmin), model


def test_a_page_that_names_no_fields_is_not_made() -> None:
    class Careless(StaffAdmin[Webhook]):
        """Would show secrets."""

    with pytest.raises(ImproperlyConfigured):
        Careless(Webhook, admin.site)


def test_the_statistics_count(signed_in: As, owner: Owner) -> None:
    Job.objects.create(owner=owner)
    found: dict[str, Any] = signed_in(Role.REVIEWER).get("/api/v1/stats?days=7").json()
    assert len(found["days"]) == 7
    today = found["days"][-1]
    assert (today["uploads"], today["ratings_up"], today["ratings_down"]) == (1, 0, 1)
    assert today["latency"]["median_s"] is not None
    assert (found["queue"]["interactive"], found["images"], found["public_images"]) == (1, 1, 0)
    assert found["models"] == [{"model": "m@1", "captions": 1, "ratings_up": 0, "ratings_down": 1}]


def test_the_statistics_are_asked_in_a_constant_number_of_queries(
    signed_in: As, owner: Owner, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(Role.REVIEWER)
    with django_assert_max_num_queries(35):
        client.get("/api/v1/stats?days=90")


def test_no_page_of_the_admin_needs_scripts_or_styles_within_it(signed_in: As, owner: Owner) -> None:
    client = signed_in(Role.ADMIN)
    somebody = User.objects.create_user("ada@example.org", "a long enough password")
    pages = ["/admin/", "/admin/login/?next=/admin/"]
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        pages.append(reverse(f"admin:{name}_changelist"))
        row = model._default_manager.first()
        pages += [reverse(f"admin:{name}_change", args=[row.pk])] if row else []
    pages.append(reverse("admin:people_user_delete", args=[somebody.pk]))
    for page in pages:
        answer = client.get(page) if "login" not in page else Client().get(page)
        if answer.status_code == 302 and page.endswith("/change/"):
            continue  # of a picture that nobody offered
        assert answer.status_code == 200, page
        html = answer.content.decode()
        assert "unsafe-inline" not in answer["Content-Security-Policy"]
        assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=|javascript:", html) == [], (
            page
        )


def test_the_colours_of_the_admin_are_those_of_its_theme() -> None:
    css = Path(finders.find("cutline/admin.css") or "").read_text()
    for name, weights in CONFIG_DEFAULTS["COLORS"].items():
        for weight, value in weights.items():
            assert f"--color-{name}-{weight}: {convert_color(value)};" in css
