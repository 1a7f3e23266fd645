"""The admin's pages of API keys: made, shown once, revoked; never deleted by mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from realtime.api.api_keys import make_key
from realtime.models import ApiKey

if TYPE_CHECKING:
    _ApiKeyAdmin = admin.ModelAdmin[ApiKey]
else:
    _ApiKeyAdmin = admin.ModelAdmin  # takes no parameter at run time


class ApiKeyAdmin(_ApiKeyAdmin):
    """A key's text is shown once, when it is made: only its digest is kept."""

    fields = ("name", "rooms", "announces", "rate")
    list_display = (
        *("name", "hint", "rooms", "counts", "used_at"),
        *("rate", "announces", "created_at", "revoked_at"),
    )
    ordering = ("name",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "announces")
    search_fields = ("name", "hint")
    actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Save a key; a new one is made, and shown."""
        if change:
            super().save_model(request, obj, form, change)
            return
        made, text = make_key(obj.name, obj.patterns, announces=obj.announces, rate=obj.rate)
        obj.digest, obj.hint = made.digest, made.hint
        super().save_model(request, obj, form, change)
        self.message_user(
            request,
            format_html(
                _("The key of {} is <code>{}</code>. Copy it now: it is shown only once."),
                obj.name,
                text,
            ),
            messages.WARNING,
        )

    @admin.display(boolean=True, description=gettext_lazy("valid"))
    def counts(self, key: ApiKey) -> bool:
        """Show whether a key has not been revoked."""
        return key.revoked_at is None

    @admin.action(description=gettext_lazy("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Have keys count no more, at once."""
        chosen = list(queryset.filter(revoked_at=None))
        for key in chosen:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            self.log_change(request, key, _("Revoked."))
        self.message_user(
            request,
            ngettext("%(count)s key revoked.", "%(count)s keys revoked.", len(chosen))
            % {"count": len(chosen)},
            messages.SUCCESS,
        )
