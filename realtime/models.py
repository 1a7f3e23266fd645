"""A model without a table, by which Django's admin and permissions know rooms."""

from __future__ import annotations

from django.db import models

from realtime.rooms.room_names import MAX_ROOM_NAME


class Room(models.Model):
    """A room, as the permission `realtime.view_room` and the admin's list know it.

    Rooms live in Redis alone: there is no table, and no row to load or save.
    """

    name = models.CharField(max_length=MAX_ROOM_NAME, primary_key=True)

    class Meta:
        managed = False
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
