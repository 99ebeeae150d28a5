"""The admin: one site, and the base class through which every app's pages obey the roles.

A reviewer looks and changes nothing, a moderator also decides about pictures, an admin changes what a page
offers. Nothing is shown that a page does not name, and nobody sees a picture or its text here that its owner
did not offer to the public: see `may_look_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from cutline.server.images.models import Image, Visibility
from cutline.server.people.models import Role, User

if TYPE_CHECKING:  # unfold has no types; its classes are Django's with another face
    from django.contrib.admin import AdminSite, ModelAdmin, TabularInline
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
    return Role(user.role) if isinstance(user, User) and user.is_active else Role.USER


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

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the admin opens at all."""
        return role_of(request) in READERS


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
    records itself with `log_act`; those in `object_actions` also stand as buttons on an object's page.
    """

    editable: ClassVar[Sequence[str]] = ()
    object_actions: ClassVar[Sequence[str]] = ()
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

    def log_act(self, request: HttpRequest, objects: Iterable[M], message: str) -> None:
        """Record what a member of staff did to these, beside what Django records itself."""
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

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one object, with its actions as buttons for those who may press them."""
        actions = self.get_actions(request)
        offered = [action for name in self.object_actions if (action := actions.get(name))]
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
        """All of them."""
        return [str(name) for name in self.get_fields(request, obj)]
