"""The options of `select` and the settings of a pool come from one model."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args, get_type_hints

from tags_assets import explain
from tags_assets.commands.select_options import SelectOptions
from tags_assets.settings.home import PoolSettings

IN_THE_FILE_ONLY = {
    "contamination_words",
    "freshness_hours",
    "max_drift",
    "pii_kinds",
    "pii_region",
    "retries",
    "seed",
}
"""Settings of a pool that no option of `select` sets."""


def test_every_setting_of_a_pool_is_an_option_or_known_to_be_none():
    options = set(SelectOptions.model_fields) | {"paths"}  # POOL
    assert set(PoolSettings.model_fields) - options == IN_THE_FILE_ONLY


def test_an_option_has_the_help_and_the_choices_of_its_setting():
    hints = get_type_hints(SelectOptions, include_extras=True)
    for name in ("tagger", "judge", "namer", "embedder", "pii"):
        field = PoolSettings.model_fields[name]
        kind, option = get_args(hints[name])
        assert get_args(kind)[0] == field.annotation
        said = " ".join(field.description.replace("``", "`").split())
        assert option.help == f"{said} [default: {field.default}]"


def test_help_loads_neither_dagster_nor_other_heavy_packages():
    program = (
        "import sys\n"
        "import tags_assets.commands.cli\n"
        "heavy = {'dagster', 'scipy', 'openai', 'spacy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_explain_is_the_function_though_a_room_has_its_name():
    import tags_assets
    import tags_assets.explanation.diff

    assert tags_assets.explain is explain
    assert callable(explain)
