"""The application: every route behind one layer of protection, and what runs beside it while it lives."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from cacseg import __version__
from cacseg.errors import CacsegError
from cacseg.result import NOT_A_DEVICE
from cacseg.service import administration, api, dicomweb, page, reference, review
from cacseg.service.background import Background
from cacseg.service.metrics import Metrics
from cacseg.service.problems import add_problem_handlers
from cacseg.service.protection import Protection
from cacseg.service.services import Services
from cacseg.service.settings import Settings

log = logging.getLogger("cacseg.service.app")


def make_app(settings: Settings) -> FastAPI:
    """Make the application on its data folder.

    Parameters
    ----------
    settings : the effective settings.

    Raises
    ------
    UsageError : the database cannot be used.
    """
    services = Services.of(settings)
    app = FastAPI(
        title="cacseg",
        version=__version__,
        summary="Coronary calcium scoring from non-contrast CT of the heart.",
        description=NOT_A_DEVICE,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_life,
    )
    app.state.services = services
    app.state.metrics = Metrics(services.database)
    app.state.background = Background(services)
    app.include_router(api.router)
    app.include_router(administration.router)
    app.include_router(administration.watching)
    app.include_router(reference.router)
    app.include_router(review.router)
    app.include_router(page.router)
    app.include_router(dicomweb.router)
    add_problem_handlers(app)
    app.add_middleware(Protection, settings=settings, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """Run everything beside the HTTP server from its start to its end."""
    background: Background = app.state.background
    try:
        await run_in_threadpool(background.start)
        yield
    except (CacsegError, OSError) as error:
        log.critical("the service cannot start", extra={"reason": str(error)})
        raise
    finally:
        await run_in_threadpool(background.stop)
        app.state.services.database.close()
