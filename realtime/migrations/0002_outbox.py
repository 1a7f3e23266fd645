"""Makes the tables of the outbox."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0001_room_permission"),
    ]

    operations = [
        migrations.CreateModel(
            name="OutboxEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("layer", models.CharField(max_length=100)),
                ("room", models.CharField(max_length=99)),
                ("data", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("batch", models.BigIntegerField(db_index=True, null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "verbose_name_plural": "outbox entries",
                "default_permissions": ("view", "delete"),
            },
        ),
        migrations.CreateModel(
            name="OutboxLease",
            fields=[
                ("id", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("source", models.CharField(max_length=100)),
                ("holder", models.CharField(max_length=200)),
                ("expires_at", models.DateTimeField()),
                ("next_batch", models.BigIntegerField(default=1)),
            ],
            options={
                "default_permissions": (),
            },
        ),
    ]
