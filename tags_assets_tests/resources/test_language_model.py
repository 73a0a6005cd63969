from __future__ import annotations

from tags_assets.llm.settings import ModelSettings
from tags_assets.resources.language_model import open_language_model

SETTINGS = {
    "base_url": "http://127.0.0.1:1/v1",
    "model": "m",
    "embedding_model": "e",
    "judge_model": "critic",
    "price": {"prompt": 1, "completion": 2},
    "spending_cap": 3,
    "judge_weights": {"clarity": 1},
}


def test_every_job_has_its_model_and_its_settings(tmp_path):
    settings = ModelSettings.model_validate(SETTINGS)
    with open_language_model(settings, tmp_path, "tag") as model:
        assert model.tagger().fingerprint_config()["model"] == "m"
        assert model.client.settings.price.prompt == 1
        assert set(model.refiner().fingerprint_config()["tasks"]) >= {"summarise", "rename"}
        with open_language_model(settings, tmp_path, "embed") as other:
            assert other.embedder().fingerprint_config()["model"] == "e"
        assert model.client.cache.known([b"x"]) == {}  # the second client left the shared cache open
    with open_language_model(settings, tmp_path, "judge") as model:
        assert model.judge().weights["clarity"] == 1
        assert model.client.settings.model == "critic"
