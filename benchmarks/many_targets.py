"""A hundred target files at once: one run, through reports and exports; then one of them is edited.

    python benchmarks/many_targets.py                   # on the sample pool
    python benchmarks/many_targets.py --targets 10

The targets' sensor is asked as the daemon asks it, and what it requests is run in this process. What ran, and
for which target, is read from Dagster's event log.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

WISHES = ("grade-school maths word problems", "python functions", "medical advice", "stories", "history")


class Silent:
    def step(self, *_):
        pass


def write_targets(folder, count):
    folder.mkdir()
    for number in range(count):
        spec = {"budget": {"rows": 20 + number % 30}, "target": {"description": WISHES[number % len(WISHES)]}}
        (folder / f"target_{number:03}.yaml").write_text(json.dumps(spec), encoding="utf-8")


def follow(instance, sensor, cursor):
    """One tick of the sensor, and the runs that it asks for: its cursor, and what ran for which target."""
    import dagster as dg

    from tags_assets.graph.definitions import defs

    data = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs()))
    for request in data.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions("targets", list(request.partition_keys))
    job, made, failed = defs().resolve_implicit_global_asset_job_def(), collections.defaultdict(set), []
    for request in data.run_requests:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=list(request.asset_selection),
            raise_on_error=False,
            tags=dict(request.tags),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        failed += [event.message for event in result.all_events if event.is_failure]
        for record in instance.all_logs(result.run_id):
            if record.dagster_event and record.dagster_event.is_step_materialization:
                one = record.dagster_event.step_materialization_data.materialization
                made[one.asset_key.to_user_string()].add(one.partition)
    return data.cursor, len(data.run_requests), dict(made), failed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=100)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="tags-assets-targets-") as name:
        folder = Path(name)
        os.environ |= {"TAGS_TARGETS": str(folder / "targets"), "TAGS_HOME": str(folder / "home")}
        from tags_assets.assets.registry import target_assets
        from tags_assets.graph.automation import targets_sensor
        from tags_assets.graph.instance import open_instance
        from tags_assets.graph.runner import run_target
        from tags_assets.settings.home import Home
        from tags_assets.settings.target_registry import TargetRegistry
        from tags_assets.store.opening import open_store

        home = Home.resolve().prepare()
        pool = home.pool("default").model_copy(update={"paths": [str(ROOT / "sample/pool")]})
        home.save_pool("default", pool)
        TargetRegistry(home).name(None, None)
        run_target(home, "pool", Silent())
        write_targets(folder / "targets", options.targets)
        wrong, cursor = [], None
        edited = f"target_{options.targets // 2:03}"
        everyone = {f"target_{number:03}" for number in range(options.targets)}
        with open_instance(home) as instance:
            for what, expected in (("all new", everyone), ("one edited", {edited})):
                wall, processor = time.perf_counter(), time.process_time()
                cursor, requests, made, failed = follow(instance, targets_sensor, cursor)
                wall, processor = time.perf_counter() - wall, time.process_time() - processor
                per = {asset: len(names) for asset, names in sorted(made.items())}
                print(f"{what}: {requests} run, {wall:.1f} s wall, {processor:.1f} s CPU, {per}", flush=True)
                others = {asset: names - expected for asset, names in made.items() if names - expected}
                wrong += failed + [f"{what}: also for {others}"] * bool(others)
                wrong += [f"{what}: {asset}" for asset in target_assets() if made.get(asset) != expected]
                wrong += [f"{what}: {asset} ran" for asset in set(made) - target_assets()]
                wrong += [f"{what}: {requests} runs"] * (requests != 1)
                spec = json.loads((folder / "targets" / f"{edited}.yaml").read_text(encoding="utf-8"))
                spec["budget"] = {"rows": 11}
                (folder / "targets" / f"{edited}.yaml").write_text(json.dumps(spec), encoding="utf-8")
        store = open_store(home.path)
        reports = sum(home.report(target).exists() for target in everyone)
        exports = sum(store.require("exported_subset", None, target).rows for target in everyone)
        rows = store.require("selected_subset", None, edited).rows
        print(f"{reports} reports, {exports} exported files, {rows} rows of the edited one")
        wrong += ["reports"] * (reports != options.targets) + ["rows"] * (rows != 11)
    print("\n".join(wrong) or "nothing wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
