"""The admin: one site, and the base class through which every app's pages obey the roles.

A reviewer looks and changes nothing, a moderator also decides about pictures, an admin changes what a page
offers. Nothing is shown that a page does not name, and nobody sees a picture or its text here that its owner
did not offer to the public: see `may_look_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import messages
from django.contrib.admin import site
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from cutline.server import security_log
from cutline.server.admin.dashboard import dashboard
from cutline.server.admin.theme import pages
from cutline.server.errors import Conflict
from cutline.server.images.models import Image, Visibility
from cutline.server.people import roles
from cutline.server.people.models import Role, User
from cutline.server.security_log import Event
from cutline.server.statistics import statistics

if TYPE_CHECKING:  # unfold has no types; its classes are Django's with another face
    from django.contrib.admin import AdminSite, ModelAdmin, TabularInline
    from django.template.response import TemplateResponse
else:
    from unfold.admin import ModelAdmin as _UnfoldModelAdmin
    from unfold.admin import TabularInline as _UnfoldTabularInline
    from unfold.sites import UnfoldAdminSite as AdminSite

    class ModelAdmin(_UnfoldModelAdmin):
        """Lets a subclass name its model, StaffAdmin[Image], as the type checker wants."""

        def __class_getitem__(cls, model: Any) -> type:
            return cls

    class TabularInline(_UnfoldTabularInline):
        """The same for rows inside another page."""

        def __class_getitem__(cls, models: Any) -> type:
            return cls


M = TypeVar("M", bound=Model)
P = TypeVar("P", bound=Model)

NOBODY: frozenset[Role] = frozenset()
ADMINS = frozenset({Role.ADMIN})
MODERATORS = frozenset({Role.MODERATOR, Role.ADMIN})
READERS = frozenset({Role.REVIEWER, Role.MODERATOR, Role.ADMIN})


def role_of(request: HttpRequest) -> Role:
    """The role of whoever asks; Role.USER for people who are not signed in or whose account is closed."""
    user = request.user
    return roles.role_of(user) if isinstance(user, User) and user.is_active else Role.USER


def may_look_at(request: HttpRequest, image: Image) -> bool:
    """Whether the admin may show this picture and its text to whoever asks.

    Staff see what an owner offered to the public (published, waiting, held, refused), and what somebody who
    had the link reported. A private picture is shown to no role: nobody needs it to do their work.
    """
    if role_of(request) not in READERS or image.deleted_at is not None:
        return False
    if image.visibility == Visibility.UNLISTED:
        return image.reports.filter(resolved_at=None).exists()
    return image.visibility == Visibility.PUBLIC


class CutlineAdminSite(AdminSite):
    """The site at /admin."""

    site_title = "Cutline"
    site_header = "Cutline"
    index_title = "Overview"
    index_template = "admin/cutline/dashboard.html"
    login_template = "admin/cutline/login.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the admin opens at all."""
        return role_of(request) in READERS

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The sign-in page, where those are led, too, who are signed in and may not enter."""
        if request.method == "GET" and request.user.is_authenticated and not self.has_permission(request):
            security_log.write(Event.ACCESS_REFUSED, code="forbidden", why="The admin is for staff.")
        return super().login(request, extra_context)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What every page is given: without the colours, which stand in admin.css."""
        return {**super().each_context(request), "colors": None}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The first page: numbers and charts of the last 30 days."""
        return super().index(request, {**dashboard(statistics(30)), **(extra_context or {})})


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu: the pages that this person may open."""
    registered = {
        f"{model._meta.app_label}_{model._meta.model_name}": page for model, page in site._registry.items()
    }
    menu: list[dict[str, Any]] = [
        {"items": [{"title": "Overview", "icon": "dashboard", "link": reverse("admin:index")}]}
    ]
    for group, listed in pages().items():
        items = [
            {"title": title, "icon": icon, "link": reverse(f"admin:{name}_changelist")}
            for icon, title, name in listed
            if name in registered and registered[name].has_module_permission(request)
        ]
        if items:
            menu.append({"title": group, "separator": True, "items": items})
    return menu


class _ByRole:
    """Who may do what, by role alone; Django's permission tables are not asked."""

    viewed_by: ClassVar[frozenset[Role]] = READERS
    added_by: ClassVar[frozenset[Role]] = NOBODY
    changed_by: ClassVar[frozenset[Role]] = NOBODY
    deleted_by: ClassVar[frozenset[Role]] = NOBODY

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the page stands in the menu."""
        return role_of(request) in self.viewed_by

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the page opens."""
        return role_of(request) in self.viewed_by

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether something can be added."""
        return role_of(request) in self.added_by

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether `editable` fields can be changed."""
        return role_of(request) in self.changed_by

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether something can be deleted."""
        return role_of(request) in self.deleted_by


class StaffAdmin(_ByRole, ModelAdmin[M]):
    """The base of every page of the admin.

    A page shows the fields that `fields` or `fieldsets` name and no others, and changes those in `editable`
    alone. An action says who may run it with @admin.action(permissions=["moderate"]) or ["administer"], and
    records itself with `log_act`; each is also a button on an object's page.
    """

    editable: ClassVar[Sequence[str]] = ()
    filtered_by: ClassVar[Sequence[str]] = ()  # lookups in links to a list, beyond its filters
    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    change_form_outer_before_template = "admin/cutline/object_actions.html"

    def __init__(self, model: type[M], admin_site: Any) -> None:
        if not self.fields and not self.fieldsets:
            raise ImproperlyConfigured(f"{type(self).__name__} does not name the fields that it shows.")
        super().__init__(model, admin_site)

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        """For actions of moderators and admins."""
        return role_of(request) in MODERATORS

    def has_administer_permission(self, request: HttpRequest) -> bool:
        """For actions of admins."""
        return role_of(request) in ADMINS

    def get_readonly_fields(self, request: HttpRequest, obj: M | None = None) -> list[str]:
        """Everything that is not said to be editable."""
        fields = [name for name in self._named(request, obj) if name not in self.editable]
        return [*fields, *(name for name in super().get_readonly_fields(request, obj) if name not in fields)]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Refuse to filter by what is not shown: ?secret__startswith=a would tell it letter by letter."""
        first = lookup.split("__")[0]
        filters = [item[0] if isinstance(item, tuple | list) else item for item in self.list_filter]
        shown = {name for name in [*filters, *self.filtered_by, self.date_hierarchy] if isinstance(name, str)}
        if first in {name.split("__")[0] for name in shown}:
            return super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]
        return first in {"pk", "id", self.model._meta.pk.name}

    def act_on(self, request: HttpRequest, rows: Iterable[M], act: Callable[[M], M], message: str) -> None:
        """Do this to each row, leave those whose state forbids it (Conflict); record it, and tell both."""
        done: list[M] = []
        others = 0
        for row in rows:
            try:
                done.append(act(row))
            except Conflict:
                others += 1
        self.log_act(request, done, message)
        if done:
            self.message_user(request, f"{len(done)} {message}.", messages.SUCCESS)
        if others:
            self.message_user(
                request, f"{others} left unchanged: their state does not allow it.", messages.WARNING
            )

    def log_act(self, request: HttpRequest, objects: Iterable[M], message: str) -> None:
        """Record what a member of staff did to these, beside what Django records itself."""
        objects = list(objects)
        self._log_security(objects, message)
        content_type = ContentType.objects.get_for_model(self.model)
        by = request.user
        assert isinstance(by, User)  # nobody else comes past CutlineAdminSite.has_permission
        LogEntry.objects.bulk_create(
            LogEntry(
                user=by,
                content_type=content_type,
                object_id=str(item.pk),
                object_repr=str(item)[:200],
                action_flag=CHANGE,
                change_message=message,
            )
            for item in objects
        )

    def log_addition(self, request: HttpRequest, obj: M, message: Any) -> LogEntry:
        """Record that something was added; in the security log too."""
        self._log_security([obj], "added")
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: M, message: Any) -> LogEntry:
        """Record that something was changed; in the security log too."""
        self._log_security([obj], "changed")
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[M]) -> Any:
        """Record what is deleted; in the security log too."""
        self._log_security(queryset, "deleted")
        return super().log_deletions(request, queryset)

    def _log_security(self, objects: Iterable[M], what: str) -> None:
        for each in objects:
            security_log.write(Event.ADMIN_ACTED, page=self.model._meta.label_lower, row=each.pk, what=what)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one object, with its actions as buttons for those who may press them."""
        actions = self.get_actions(request)
        offered = [action for name in self.actions or () if (action := actions.get(str(name)))]
        buttons = [{"name": name, "label": label} for _, name, label in offered]
        context = {"object_actions": buttons if object_id else [], **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def _named(self, request: HttpRequest, obj: M | None) -> list[str]:
        return flatten_fieldsets(self.get_fieldsets(request, obj))


class StaffInline(_ByRole, TabularInline[M, P]):
    """Rows inside another page: they show what `fields` names, and change nothing."""

    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Every field."""
        return [str(name) for name in self.get_fields(request, obj)]
