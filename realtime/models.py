"""The tables of realtime: the outbox's and the API's keys. Rooms live in Redis: none for them."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from realtime.api.room_patterns import patterns_of, validate_patterns
from realtime.rooms.room_names import MAX_ROOM_NAME


class Room(models.Model):
    """A room, as the permission `realtime.view_room` and the admin's list know it.

    Rooms live in Redis alone: there is no table, and no row to load or save.
    """

    name = models.CharField(_("name"), max_length=MAX_ROOM_NAME, primary_key=True)

    class Meta:
        managed = False
        verbose_name = _("room")
        verbose_name_plural = _("rooms")
        default_permissions = ("view",)
        permissions = [
            ("publish_room", "Can publish to rooms, and clear their history"),
            ("disconnect_room", "Can disconnect members of rooms"),
            ("drain_node", "Can drain a node"),
            ("replay_letter", "Can replay dead letters of Kafka"),
        ]

    def __str__(self) -> str:
        return self.name


class Subject(models.Model):
    """What a page of the admin is about, beside rooms: no table, and no permissions of its own.

    The admin lists models and logs what is done to them, so a page has one. Its permissions are
    those of `Room`.

    Attributes:
        name: What something was done to: a node's id, a shard's number, a topic.
    """

    name = models.CharField(_("name"), max_length=200, primary_key=True)

    class Meta:
        abstract = True
        managed = False
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class OverviewPage(Subject):
    """The admin's overview."""

    class Meta(Subject.Meta):
        verbose_name = verbose_name_plural = _("overview")


class ShardsPage(Subject):
    """The admin's page of shards."""

    class Meta(Subject.Meta):
        verbose_name = verbose_name_plural = _("shards")


class NodesPage(Subject):
    """The admin's page of nodes."""

    class Meta(Subject.Meta):
        verbose_name = verbose_name_plural = _("nodes")


class KafkaPage(Subject):
    """The admin's page of what is read from Kafka."""

    class Meta(Subject.Meta):
        verbose_name = verbose_name_plural = _("Kafka")


class OutboxEntry(models.Model):
    """A publication that was committed with its transaction, until the relay has published it.

    Attributes:
        layer: The alias of the channel layer that it goes to.
        room: The room that it goes to.
        data: Its JSON text.
        created_at: When its transaction wrote it.
        batch: The batch with which a relay took it; None until then. Its mark is made of that, so
            it never changes while the entry may be published.
        failed_at: When it was put aside, since its room can't take it; None while it is to go.
        error: Why it was put aside.
    """

    id = models.BigAutoField(primary_key=True)
    layer = models.CharField(max_length=100)
    room = models.CharField(max_length=MAX_ROOM_NAME)
    data = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    batch = models.BigIntegerField(null=True, db_index=True)
    failed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view", "delete")
        verbose_name = _("outbox entry")
        verbose_name_plural = _("outbox entries")

    def __str__(self) -> str:
        return f"{self.pk} to {self.room}"


class OutboxLease(models.Model):
    """Which relay works on the outbox of this database, and how it counts: one row.

    Attributes:
        source: Names this outbox in the marks that Redis keeps.
        holder: The relay that has the lease.
        expires_at: Until when, unless it renews it.
        next_batch: The number of the next batch.
    """

    id = models.PositiveSmallIntegerField(primary_key=True)
    source = models.CharField(max_length=100)
    holder = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    next_batch = models.BigIntegerField(default=1)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.source


class ApiKey(models.Model):
    """A key of the HTTP API: who may publish what, and how often.

    Attributes:
        name: What service has it, for people.
        rooms: Patterns of the rooms that it opens, one a line.
        announces: Whether it may announce to all clients.
        rate: Publications a second, in each process; 0: no limit.
        digest: The SHA-256 of the key, in hexadecimal. The key itself is kept nowhere.
        hint: How the key begins, by which people recognise it.
        created_at: When it was made.
        used_at: When it was last used, to the minute; None if never.
        revoked_at: Since when it counts no more; None while it counts.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=100, unique=True)
    rooms = models.TextField(
        _("rooms"),
        blank=True,
        validators=[validate_patterns],
        help_text=_("Patterns of the rooms that it opens, one a line: orders.*"),
    )
    announces = models.BooleanField(
        _("announces"), default=False, help_text=_("Whether it may announce to all clients.")
    )
    rate = models.FloatField(
        _("rate"),
        default=100.0,
        validators=[MinValueValidator(0)],
        help_text=_("Publications a second, in each process; 0 is no limit."),
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(_("hint"), max_length=16, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return self.name

    @property
    def patterns(self) -> list[str]:
        """The patterns of the rooms that it opens."""
        return patterns_of(self.rooms)
