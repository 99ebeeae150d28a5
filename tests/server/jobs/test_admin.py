from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from cutline.server.captions.models import Caption, Version
from cutline.server.feedback.models import Feedback
from cutline.server.images.models import Image, Visibility
from cutline.server.jobs import services
from cutline.server.jobs.models import Job, JobState
from cutline.server.people.models import Owner, Role, User
from tests.server.jobs.making import make_owner, queue

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:StreamingHttpResponse")]

JOBS = "admin:jobs_job_changelist"


def staff(role: Role) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(f"{role}@example.org", role=role))
    return client


def act(client: Client, action: str, *jobs: Job) -> int:
    form = {"action": action, "_selected_action": [str(job.pk) for job in jobs]}
    return client.post(reverse(JOBS), form).status_code


@pytest.fixture
def failed() -> Job:
    job = queue(make_owner())
    claimed = services.claim()
    assert claimed is not None
    services.fail(claimed, claimed.lease_token, KeyError("bug"))
    return job


def test_an_admin_retries_and_cancels_jobs_and_it_is_logged(failed: Job) -> None:
    admin = staff(Role.ADMIN)
    assert act(admin, "retry", failed) == 302
    assert Job.objects.get().state == JobState.QUEUED
    assert act(admin, "cancel", failed) == 302
    assert Job.objects.get().state == JobState.CANCELLED
    assert [entry.change_message for entry in LogEntry.objects.order_by("id")] == [
        "queued again",
        "cancelled",
    ]


def test_a_job_whose_state_forbids_it_is_left_alone(failed: Job) -> None:
    act(staff(Role.ADMIN), "cancel", failed)
    assert Job.objects.get().state == JobState.FAILED
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.MODERATOR])
def test_others_of_the_staff_look_and_change_nothing(failed: Job, role: Role) -> None:
    client = staff(role)
    page = client.get(reverse("admin:jobs_job_change", args=[failed.pk]))
    assert page.status_code == 200
    assert "internal_error" in page.content.decode()
    act(client, "retry", failed)
    assert Job.objects.get().state == JobState.FAILED


def captioned(owner: Owner, name: str, visibility: Visibility) -> Image:
    image = Image.objects.create(
        owner=owner, content_hash=name, width_px=4, height_px=3, visibility=visibility, caption=name
    )
    caption = Caption.objects.create(
        image=image, rank=0, text=f"the {name} caption", log_prob=-1, model="m@1"
    )
    Version.objects.create(
        image=image, number=1, text=f"the {name} version", by="model", action="generated", caption=caption
    )
    Feedback.objects.create(
        kind="edit", image=image, caption=caption, before=f"the {name} before", after=f"the {name} after"
    )
    return image


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.MODERATOR, Role.ADMIN])
def test_no_role_reads_the_words_of_a_private_image(role: Role) -> None:
    owner = make_owner()
    captioned(owner, "public", Visibility.PUBLIC)
    private = captioned(owner, "private", Visibility.PRIVATE)
    client = staff(role)
    for model, word in (
        ("captions_caption", "caption"),
        ("captions_version", "version"),
        ("feedback_feedback", "after"),
    ):
        text = client.get(reverse(f"admin:{model}_changelist")).content.decode()
        assert f"the public {word}" in text
        assert f"the private {word}" not in text
    caption = Caption.objects.get(image=private)
    page = client.get(reverse("admin:captions_caption_change", args=[caption.pk]), follow=True)
    assert "the private caption" not in page.content.decode()
    feedback = Feedback.objects.get(image=private)
    page = client.get(reverse("admin:feedback_feedback_change", args=[feedback.pk]), follow=True)
    assert "the private before" not in page.content.decode()
