"""Makes the permission to replay dead letters; makes no table."""

from django.db import migrations


class Migration(migrations.Migration):
    """Adds `replay_letter` to the permissions of rooms."""

    dependencies = [("realtime", "0004_api_key")]
    operations = [
        migrations.AlterModelOptions(
            name="room",
            options={
                "managed": False,
                "default_permissions": ("view",),
                "permissions": [
                    ("publish_room", "Can publish to rooms, and clear their history"),
                    ("disconnect_room", "Can disconnect members of rooms"),
                    ("drain_node", "Can drain a node"),
                    ("replay_letter", "Can replay dead letters of Kafka"),
                ],
            },
        ),
    ]
