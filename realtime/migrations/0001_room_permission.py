"""Makes the permission to look at rooms; makes no table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Tells Django of the model, after which it makes `realtime.view_room`."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Room",
            fields=[("name", models.CharField(max_length=99, primary_key=True, serialize=False))],
            options={"managed": False, "default_permissions": ("view",)},
        ),
    ]
