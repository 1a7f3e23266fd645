"""Live models whose ordering or base manager joins other tables, and their tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import connections, models

from realtime.live_models import live_model
from tests.realtime.live_models.shop import Base


class Customer(Base):
    """Whose name orders the sales."""

    name = models.CharField(max_length=20)

    class Meta(Base.Meta):
        ordering: ClassVar[list[str]] = ["name"]


class ByCustomer(Base):
    """What the sales have in common."""

    status = models.CharField(max_length=20, default="new")
    team = models.CharField(max_length=20)
    customer: Any

    class Meta(Base.Meta):
        abstract = True
        ordering: ClassVar[list[str]] = ["customer"]


def room(row: Any) -> list[str]:
    """Return the team's room."""
    return [f"team.{row.team}"]


@live_model(rooms=room, fields=["status"])
class Sale(ByCustomer):
    """Some have no customer: the ordering is an outer join."""

    customer = models.ForeignKey(Customer, models.SET_NULL, null=True)

    class Meta(ByCustomer.Meta):
        pass


class SaleProxy(Sale):
    """The same rows."""

    class Meta(Base.Meta):
        proxy = True


class Gift(Sale):
    """Has the ordering of the sales, and two tables."""

    note = models.CharField(max_length=20, default="")

    class Meta(Base.Meta):
        pass


@live_model(rooms=room, fields=["status"])
class Delivery(ByCustomer):
    """Each has a customer: the ordering is an inner join."""

    customer = models.ForeignKey(Customer, models.CASCADE)

    class Meta(ByCustomer.Meta):
        pass


class Joined(models.Manager[Any]):
    """Reads the customer along with each row."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Join the tables."""
        return super().get_queryset().select_related("customer")


class Counted(Joined):
    """Groups: no database locks the rows of a group."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Count the customer's rows."""
        rows = super().get_queryset()
        counted: models.QuerySet[Any] = rows.annotate(n=models.Count("customer__name"))
        return counted


class Distinct(Joined):
    """Reads no row twice: no database locks these."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Read distinct rows."""
        return super().get_queryset().distinct()


@live_model(rooms=room, fields=["status"])
class JoinedSale(ByCustomer):
    """Its base manager has an outer join."""

    customer = models.ForeignKey(Customer, models.SET_NULL, null=True)
    everything: ClassVar[models.Manager[Any]] = Joined()

    class Meta(ByCustomer.Meta):
        base_manager_name = "everything"


@live_model(rooms=room, fields=["status"])
class CountedSale(ByCustomer):
    """Its base manager groups."""

    customer = models.ForeignKey(Customer, models.SET_NULL, null=True)
    everything: ClassVar[models.Manager[Any]] = Counted()

    class Meta(ByCustomer.Meta):
        base_manager_name = "everything"


@live_model(rooms=room, fields=["status"])
class DistinctSale(ByCustomer):
    """Its base manager reads distinct rows."""

    customer = models.ForeignKey(Customer, models.SET_NULL, null=True)
    everything: ClassVar[models.Manager[Any]] = Distinct()

    class Meta(ByCustomer.Meta):
        base_manager_name = "everything"


MODELS: tuple[type[ByCustomer], ...] = (
    *(Sale, SaleProxy, Gift, Delivery),
    *(JoinedSale, CountedSale, DistinctSale),
)


@contextmanager
def joined_tables(alias: str) -> Iterator[None]:
    """Have the tables of the models in a database."""
    made: list[type[models.Model]] = [Customer, *(each for each in MODELS if not each._meta.proxy)]
    with connections[alias].schema_editor() as editor:
        for model in made:
            editor.create_model(model)
    try:
        yield
    finally:
        with connections[alias].schema_editor() as editor:
            for model in reversed(made):
                editor.delete_model(model)
