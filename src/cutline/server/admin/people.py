"""People in the admin: accounts and their roles, owners, API keys. Only admins change anything here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from cutline.errors import CutlineError
from cutline.server.account import deletion, keys, services
from cutline.server.admin.site import ADMINS, StaffAdmin
from cutline.server.people.models import ApiKey, Owner, Role, User


@admin.register(User)
class UserAdmin(StaffAdmin[User]):
    """Accounts. Admins change roles, close, reopen and delete."""

    changed_by = ADMINS
    deleted_by = ADMINS
    editable = ("role",)
    list_display = ("email", "name", "role", "is_active", "created_at", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("email", "name", "id__exact")
    ordering = ("-created_at",)
    fields = (
        "id",
        "email",
        "name",
        "role",
        "is_active",
        "signs_in_with",
        "images",
        "created_at",
        "last_login",
    )
    actions = ("close", "reopen", "sign_out", "remove_second_factors")

    @admin.display(description="signs in with")
    def signs_in_with(self, user: User) -> str:
        """Password, providers and second factors of this account."""
        ways = ["password"] if user.has_usable_password() else []
        ways += SocialAccount.objects.filter(user=user).values_list("provider", flat=True)
        ways += Authenticator.objects.filter(user=user).values_list("type", flat=True)
        return ", ".join(ways)

    @admin.display(description="images")
    def images(self, user: User) -> int:
        """Number of images; the images themselves are private."""
        found = Owner.objects.filter(user=user).aggregate(number=Count("images"))
        return int(found["number"] or 0)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:
        """Change the role through account.services, which keeps the last admin."""
        assert isinstance(request.user, User)
        role, obj.role = Role(obj.role), form.initial["role"]
        try:
            services.change_role(obj, role, by=request.user)
        except CutlineError as error:
            self.message_user(request, str(error), messages.ERROR)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete the account with all that belongs to it."""
        deletion.delete_account(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete several accounts with all that belongs to them."""
        for user in queryset:
            deletion.delete_account(user)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Staff are first made users again: so the last admin stays."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.role == Role.USER)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What the page that asks "are you sure" shows: the accounts, and nothing of what they hold."""
        staff = [str(user) for user in objs if user.role != Role.USER]
        return (
            [str(user) for user in objs],
            {"accounts and everything that belongs to them": len(objs)},
            set(),
            staff,
        )

    @admin.action(description="Close (disable sign-in)", permissions=["administer"])
    def close(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Close accounts; what belongs to them stays."""
        self._act(request, queryset.filter(is_active=True), services.close_account, "closed")

    @admin.action(description="Reopen", permissions=["administer"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Reopen closed accounts."""
        self._act(request, queryset.filter(is_active=False), services.reopen_account, "reopened")

    @admin.action(description="Sign out everywhere", permissions=["administer"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End all sessions."""
        self._act(request, queryset, services.end_sessions, "signed out")

    @admin.action(description="Remove second factors, and sign out everywhere", permissions=["administer"])
    def remove_second_factors(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For those who lost theirs."""
        self._act(request, queryset, services.remove_second_factors, "second factors removed")

    def _act(
        self, request: HttpRequest, users: QuerySet[User], act: Callable[[User], None], done: str
    ) -> None:
        for user in users:
            try:
                act(user)
            except CutlineError as error:
                self.message_user(request, f"{user}: {error}", messages.ERROR)
            else:
                self.log_act(request, [user], done)
                self.message_user(request, f"{user}: {done}.", messages.SUCCESS)


@admin.register(Owner)
class OwnerAdmin(StaffAdmin[Owner]):
    """Whom images belong to, with or without an account."""

    list_display = ("id", "user", "may_train", "created_at", "last_seen_at")
    list_filter = ("may_train",)
    list_select_related = ("user",)
    search_fields = ("id__exact", "user__email")
    ordering = ("-created_at",)
    fields = (
        "id",
        "user",
        "may_train",
        "may_train_changed_at",
        "merged_into",
        "created_at",
        "last_seen_at",
    )


@admin.register(ApiKey)
class ApiKeyAdmin(StaffAdmin[ApiKey]):
    """Keys of programs. Their secrets are known to nobody; admins revoke."""

    list_display = ("prefix", "name", "owner_id", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("prefix__startswith", "owner__id__exact")
    ordering = ("-created_at",)
    fields = (
        "id",
        "prefix",
        "name",
        "owner_id",
        "scopes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["administer"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke keys; they stop working at once."""
        chosen = list(queryset.filter(revoked_at=None))
        for key in chosen:
            keys.revoke(key.owner_id, key.pk)
        self.log_act(request, chosen, "revoked")
        self.message_user(request, f"{len(chosen)} keys revoked.", messages.SUCCESS)
