"""People of the staff, and what their browsers show."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.test import Client


def make_staff(*permissions: str, name: str = "staff") -> User:
    """Return somebody of the staff with permissions of realtime."""
    user = User.objects.create_user(name, is_staff=True)
    found = Permission.objects.filter(content_type__app_label="realtime", codename__in=permissions)
    assert found.count() == len(permissions)
    user.user_permissions.set(found)
    return user


def body(client: Client, path: str) -> str:
    """Return a page that is there."""
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()
