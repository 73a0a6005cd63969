"""Names that Dagster does not publish: the one place to look when a new version moves them."""

from __future__ import annotations

from dagster._core.definitions.assets.definition.cacheable_assets_definition import CacheableAssetsDefinition
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTOMATION_CONDITION_TAG,
)
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers

__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "AUTOMATION_CONDITION_TAG",
    "DATA_VERSION_TAG",
    "CacheableAssetsDefinition",
    "InstanceRef",
    "WorkspaceFileTarget",
    "WorkspaceProcessContext",
    "configure_loggers",
    "make_new_run_id",
    "setup_interrupt_handlers",
]
