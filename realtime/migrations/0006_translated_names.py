"""Names of models and fields that can be translated; no table changes."""

from __future__ import annotations

import django.core.validators
from django.db import migrations, models

import realtime.api.room_patterns


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0005_replay_letter"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="apikey",
            options={"verbose_name": "API key", "verbose_name_plural": "API keys"},
        ),
        migrations.AlterModelOptions(
            name="kafkapage",
            options={
                "default_permissions": (),
                "managed": False,
                "verbose_name": "Kafka",
                "verbose_name_plural": "Kafka",
            },
        ),
        migrations.AlterModelOptions(
            name="nodespage",
            options={
                "default_permissions": (),
                "managed": False,
                "verbose_name": "nodes",
                "verbose_name_plural": "nodes",
            },
        ),
        migrations.AlterModelOptions(
            name="outboxentry",
            options={
                "default_permissions": ("view", "delete"),
                "verbose_name": "outbox entry",
                "verbose_name_plural": "outbox entries",
            },
        ),
        migrations.AlterModelOptions(
            name="overviewpage",
            options={
                "default_permissions": (),
                "managed": False,
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
            },
        ),
        migrations.AlterModelOptions(
            name="room",
            options={
                "default_permissions": ("view",),
                "managed": False,
                "permissions": [
                    ("publish_room", "Can publish to rooms, and clear their history"),
                    ("disconnect_room", "Can disconnect members of rooms"),
                    ("drain_node", "Can drain a node"),
                    ("replay_letter", "Can replay dead letters of Kafka"),
                ],
                "verbose_name": "room",
                "verbose_name_plural": "rooms",
            },
        ),
        migrations.AlterModelOptions(
            name="shardspage",
            options={
                "default_permissions": (),
                "managed": False,
                "verbose_name": "shards",
                "verbose_name_plural": "shards",
            },
        ),
        migrations.AlterField(
            model_name="apikey",
            name="announces",
            field=models.BooleanField(
                default=False,
                help_text="Whether it may announce to all clients.",
                verbose_name="announces",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="created_at",
            field=models.DateTimeField(auto_now_add=True, verbose_name="created"),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="hint",
            field=models.CharField(editable=False, max_length=16, verbose_name="hint"),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="name",
            field=models.CharField(max_length=100, unique=True, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="rate",
            field=models.FloatField(
                default=100.0,
                help_text="Publications a second, in each process; 0 is no limit.",
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="rate",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="revoked_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="revoked"),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="rooms",
            field=models.TextField(
                blank=True,
                help_text="Patterns of the rooms that it opens, one a line: orders.*",
                validators=[realtime.api.room_patterns.validate_patterns],
                verbose_name="rooms",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="used_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="last used"),
        ),
    ]
