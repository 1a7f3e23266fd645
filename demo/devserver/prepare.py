"""`python -m demo.devserver.prepare`: migrates, and makes the demo admin when DEBUG is on.

Its last word is `demo-admin` when the login admin/admin is to be told.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.management import call_command

DEMO_LOGIN = "admin"
DEMO_PASSWORD = "admin"  # noqa: S105 - printed on the terminal, and only made with DEBUG


def main() -> None:
    """Bring the database of the settings up to date."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    print("demo-admin" if settings.DEBUG and _has_demo_admin() else "no-demo-admin")


def _has_demo_admin() -> bool:
    """Make the demo admin unless there is such a user; say whether the demo login works."""
    from django.contrib.auth.models import User  # only once the apps are loaded

    admin = User.objects.filter(username=DEMO_LOGIN).first()
    if admin is None:
        User.objects.create_superuser(DEMO_LOGIN, "admin@example.com", DEMO_PASSWORD)
        return True
    return admin.is_staff and admin.check_password(DEMO_PASSWORD)


if __name__ == "__main__":
    main()
