"""Makes the permissions of the admin's actions, and tells Django of its pages; makes no table."""

from django.db import migrations, models


def _page(name: str, plural: str) -> migrations.CreateModel:
    return migrations.CreateModel(
        name=name,
        fields=[("name", models.CharField(max_length=200, primary_key=True, serialize=False))],
        options={"managed": False, "default_permissions": (), "verbose_name_plural": plural},
    )


class Migration(migrations.Migration):
    """Adds `publish_room`, `disconnect_room` and `drain_node` to `view_room`."""

    dependencies = [("realtime", "0002_outbox")]
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
                ],
            },
        ),
        _page("OverviewPage", "overview"),
        _page("ShardsPage", "shards"),
        _page("NodesPage", "nodes"),
        _page("KafkaPage", "Kafka"),
    ]
