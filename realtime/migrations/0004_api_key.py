"""Makes the table of the HTTP API's keys."""

import django.core.validators
from django.db import migrations, models

import realtime.api.room_patterns


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0003_admin_pages"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100, unique=True)),
                (
                    "rooms",
                    models.TextField(
                        blank=True,
                        help_text="Patterns of the rooms that it opens, one a line: orders.*",
                        validators=[realtime.api.room_patterns.validate_patterns],
                    ),
                ),
                (
                    "announces",
                    models.BooleanField(
                        default=False, help_text="Whether it may announce to all clients."
                    ),
                ),
                (
                    "rate",
                    models.FloatField(
                        default=100.0,
                        help_text="Publications a second, in each process; 0 is no limit.",
                        validators=[django.core.validators.MinValueValidator(0)],
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("hint", models.CharField(editable=False, max_length=16)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("used_at", models.DateTimeField(editable=False, null=True)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={"verbose_name": "API key"},
        ),
    ]
