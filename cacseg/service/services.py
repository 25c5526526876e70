"""What every route needs, made once for an application and handed on with each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from starlette.requests import Request

from cacseg.service.audit import Audit
from cacseg.service.database import Database
from cacseg.service.inbox import Inbox
from cacseg.service.queue import Queue

if TYPE_CHECKING:
    from cacseg.service.access import Access
    from cacseg.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The nouns of one running service.

    Parameters
    ----------
    settings : the effective settings.
    database, inbox, queue, audit, access : on them.
    """

    settings: Settings
    database: Database
    inbox: Inbox
    queue: Queue
    audit: Audit
    access: Access

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make folders, tables and everything on them."""
        from cacseg.service.access import Access

        settings.make_folders()
        database = Database(settings.database_url)
        database.create()
        return cls(
            settings=settings,
            database=database,
            inbox=Inbox(settings, database),
            queue=Queue(database, "service", lease_s=settings.lease_s),
            audit=Audit(database),
            access=Access(database),
        )


def services_of(request: Request) -> Services:
    """Give the services of the application that a request was made to."""
    services: Services = request.app.state.services
    return services
