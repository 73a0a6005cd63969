"""The process that serves the Dagster UI: Dagster's own web app behind the guard, on 127.0.0.1.

Run as ``python -P -m tags_assets.web.server WORKSPACE PORT [PUBLIC_ORIGIN]``, with ``DAGSTER_HOME`` set.
"""

from __future__ import annotations

import logging
import sys

import uvicorn
from dagster import DagsterInstance, __version__
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.cli import (
    DEFAULT_DB_STATEMENT_TIMEOUT,
    DEFAULT_POOL_MAX_OVERFLOW,
    DEFAULT_POOL_RECYCLE,
)

from tags_assets.assets.dagster_internals import (
    WorkspaceFileTarget,
    WorkspaceProcessContext,
    configure_loggers,
    setup_interrupt_handlers,
)
from tags_assets.web.guard import WebGuard

HOST = "127.0.0.1"

LIVE_DATA_MS = 2000
"""How often the pages ask for new data, as with Dagster's own command."""


def serve(workspace: str, port: int, public_origin: str | None = None) -> None:
    """Serve the UI until the process is stopped."""
    configure_loggers(log_level="WARNING")
    setup_interrupt_handlers()
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(
            DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_RECYCLE, DEFAULT_POOL_MAX_OVERFLOW
        )
        target = WorkspaceFileTarget(paths=[workspace])
        with WorkspaceProcessContext(
            instance, target, version=__version__, code_server_log_level="warning"
        ) as context:
            app = create_app_from_workspace_process_context(context, live_data_poll_rate=LIVE_DATA_MS)
            guarded = WebGuard(app, public_origin)
            # What a proxy's headers say counts for nothing: any client may send them.
            uvicorn.run(guarded, host=HOST, port=port, log_level="warning", proxy_headers=False)


if __name__ == "__main__":
    logging.captureWarnings(capture=True)
    serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
