"""The assets that there are: every module of this folder that declares one, found by looking into the folder.

Modules are read when something is asked for first, not when this one is imported: what all assets share may
ask as well.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

import tags_assets.assets as folder
from tags_assets.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from tags_assets.assets.checks import FigureCheck
    from tags_assets.assets.declaration import Declaration
    from tags_assets.settings.limits import Limits
    from tags_assets.store.catalogue import AssetTables


@cache
def modules() -> Mapping[str, ModuleType]:
    """Return the module of each asset: by depth in the graph, then by name."""
    names = [found.name for found in pkgutil.iter_modules(folder.__path__)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        every = {name: importlib.import_module(f"{folder.__name__}.{name}") for name in names}
    declared = {name: one for name, one in every.items() if hasattr(one, "DECLARATION")}
    misnamed = [name for name, module in declared.items() if module.DECLARATION.name != name]
    if misnamed:
        raise ValueError(f"a module bears the name of the asset that it declares; not so: {misnamed}")
    parents = {name: _dependencies(name, module) for name, module in declared.items()}

    def depth(name: str) -> int:
        return 1 + max((depth(parent) for parent in parents[name]), default=0)

    return {name: declared[name] for name in sorted(declared, key=lambda name: (depth(name), name))}


def _dependencies(name: str, module: ModuleType) -> frozenset[str]:
    definition: dg.AssetSpec | dg.AssetsDefinition = getattr(module, name)
    specs = [definition] if isinstance(definition, dg.AssetSpec) else definition.specs
    return frozenset(dep.asset_key.to_user_string() for spec in specs for dep in spec.deps)


@cache
def declarations() -> Mapping[str, Declaration]:
    """Return the declaration of each asset, in the order of `modules`."""
    return {name: module.DECLARATION for name, module in modules().items()}


@cache
def tables() -> Mapping[str, AssetTables]:
    """Describe the tables of all assets to the warehouse."""
    return {name: one.described() for name, one in declarations().items() if one.schema is not None}


@cache
def target_assets() -> frozenset[str]:
    """Return the assets that are partitioned by target."""
    return frozenset(name for name, one in declarations().items() if one.of_target)


@cache
def selection_assets() -> frozenset[str]:
    """Return the assets of a target that are made from its selection."""
    return frozenset(name for name in target_assets() if "selected_subset" in parents(name))


@cache
def last_target_assets() -> tuple[str, ...]:
    """Return the assets of a target from which no other is made, the deepest first."""
    read = {parent for name in target_assets() for parent in parents(name)}
    return tuple(name for name in reversed([*modules()]) if name in target_assets() - read)


@cache
def parents(asset: str) -> frozenset[str]:
    """Return the assets that an asset reads."""
    return _dependencies(asset, modules()[asset])


@cache
def checks() -> tuple[FigureCheck, ...]:
    """Return the checks of all assets."""
    return tuple(check for one in declarations().values() for check in one.checks)


def check_limits(limits: Limits) -> Limits:
    """Return the limits of a pool.

    Raises
    ------
    UserError
        For a name among `blocking` that no check has.
    """
    for name in limits.blocking:
        known = [check.name for check in checks()]
        if name not in known:
            raise UserError.unknown("check", name, known, where="limits.blocking")
    return limits
