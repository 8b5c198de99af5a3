"""Turns an AI model into a minimal OCI container image, without a daemon, a Dockerfile or a container engine.

>>> import aipack
>>> model = aipack.analyze("examples/models/digits.onnx")
>>> model.format
'onnx'
>>> [tensor.name for tensor in model.inputs]
['pixels']

``build`` does everything: ``aipack.build("digits.onnx", output="oci:./digits.oci", platforms="all").digest``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from . import _core, _defaults
from ._core import (
    AttestationVerdict,
    BuildReport,
    CopyReport,
    Dropped,
    Finding,
    Image,
    ImageLayer,
    ImageVerdict,
    Key,
    Layer,
    LoadReport,
    Model,
    ModelFile,
    Operator,
    Package,
    Plan,
    PlanReport,
    PlatformImage,
    PlatformReport,
    ProgressEvent,
    SignatureVerdict,
    SigningReport,
    Tensor,
    Verdict,
    VerifyReport,
    WhyLink,
    __version__,
)
from ._errors import (
    AlreadyExistsError,
    CancelledError,
    CorruptError,
    DeniedError,
    Error,
    InternalError,
    InvalidInputError,
    LocalIOError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
    UnsatisfiableError,
    UnsupportedError,
)

__all__ = [
    "AlreadyExistsError", "AttestationVerdict", "BuildReport", "CancelledError", "CopyReport", "CorruptError", "DeniedError", "Dropped", "Engine",
    "Error", "Finding", "Image", "ImageLayer", "ImageVerdict", "InternalError", "InvalidInputError", "Key", "Layer", "LoadReport", "LocalIOError",
    "Model", "ModelFile", "NotFoundError", "Operator", "Package", "Plan", "PlanReport", "PlatformImage", "PlatformReport", "ProgressEvent",
    "SignatureVerdict", "SigningReport", "Tensor", "UnauthenticatedError", "UnavailableError", "UnsatisfiableError", "UnsupportedError", "Verdict",
    "VerifyReport", "WhyLink", "__version__", "analyze", "build", "copy", "inspect", "make_key", "plan", "read_key", "sbom", "sign", "tags", "verify",
    "why",
]

Path = str | os.PathLike[str]
Progress = Callable[[ProgressEvent], None]


def _settings(
    *,
    platforms: str | Iterable[str] | None,
    packages: Sequence[str],
    files: Mapping[Path, str] | None,
    env: Mapping[str, str] | None,
    labels: Mapping[str, str] | None,
    annotations: Mapping[str, str] | None,
    options: Mapping[str, str | bool | None],
) -> dict[str, object]:
    """What the caller said, over what the environment says."""
    settings: dict[str, object] = dict(_defaults.settings())
    settings.update({key: value for key, value in options.items() if value is not None})
    if platforms is not None:
        settings["platform"] = platforms if isinstance(platforms, str) else ",".join(platforms)
    if packages:
        settings["packages"] = list(packages)
    if files:
        settings["files"] = [f"{os.fspath(source)}:{target}" for source, target in files.items()]
    if env:
        settings["env"] = [f"{name}={value}" for name, value in env.items()]
    settings["labels"] = dict(labels or {})
    settings["annotations"] = dict(annotations or {})
    return settings


class Engine:
    """aipack with its cache: the same engine that the command line uses. Safe to use from several threads.

    Args:
        cache_dir: where packages, indexes and layers are kept; default ``$AIPACK_CACHE_DIR`` or the user's cache folder.
        data_dirs: folders with the runtime catalog and servers; default: those installed with aipack.
        offline: use nothing but the cache.
        jobs: threads; 0 means as many as the machine has.
        catalog_dirs: folders with the user's own runtime entries; default: ``aipack/runtimes`` below the user's configuration.
        keyrings: OpenPGP keyrings that Release files are verified with; default ``$AIPACK_KEYRING`` or Debian's.
        auth_file: credentials of registries; default: those of ``docker login`` and ``podman login``.
        plain_http: speak HTTP to the registries that are named; loopback ones are always spoken to so.
    """

    def __init__(
        self,
        cache_dir: Path | None = None,
        data_dirs: Sequence[Path] | None = None,
        offline: bool = False,
        jobs: int = 0,
        *,
        catalog_dirs: Sequence[Path] | None = None,
        keyrings: Sequence[Path] | None = None,
        auth_file: Path = "",
        plain_http: bool = False,
    ) -> None:
        self._engine = _core.Engine(
            os.fspath(cache_dir) if cache_dir is not None else _defaults.cache_dir(),
            [os.fspath(path) for path in data_dirs] if data_dirs is not None else _defaults.data_dirs(),
            [os.fspath(path) for path in catalog_dirs] if catalog_dirs is not None else _defaults.catalog_dirs(),
            [os.fspath(path) for path in keyrings] if keyrings is not None else _defaults.keyrings(),
            _defaults.verdict_key(),
            offline,
            jobs,
            int(time.time()),
            os.fspath(auth_file),
            plain_http,
        )

    def analyze(self, model: Path, *, progress: Progress | None = None) -> Model:
        """Reads a model file or folder without its weights.

        Raises:
            NotFoundError, InvalidInputError, UnsupportedError, CorruptError
        """
        return self._engine.analyze(os.fspath(model), progress)

    def verdicts(self, model: Model, platform: str | None = None) -> list[Verdict]:
        """Which runtimes of the catalog can serve the model, and why others cannot."""
        return self._engine.verdicts(model, platform or "")

    def plan(
        self,
        *models: Path,
        platforms: str | Iterable[str] | None = None,
        packages: Sequence[str] = (),
        files: Mapping[Path, str] | None = None,
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        lock: str | None = None,
        progress: Progress | None = None,
        **options: str | bool | None,
    ) -> Plan:
        """Every decision of a build, every input by digest; nothing is composed.

        Args:
            models: model files or folders.
            platforms: ``"all"``, ``"linux/amd64,linux/arm64"`` or a list; default: this machine's.
            packages: further Debian packages, kept whole.
            files: local files or folders to add, by their path in the image.
            lock: the text of a lock file; nothing that it does not pin is used.
            options: ``base`` (an image to extend instead of composing one), ``runtime``, ``suite``, ``mirror``, ``model_name``, ``compress``, ``compress_models``, ``user``, ``source_date_epoch``, ``ignore_valid_until``,
                ``skip_incomplete_suites``, ``allow``, ``waive_scripts``, ``entrypoint`` (the last three lists of strings).

        Raises:
            UnsupportedError: no runtime can serve the model.
            UnsatisfiableError: no set of packages fulfils the request.
        """
        settings = _settings(
            platforms=platforms, packages=packages, files=files, env=env, labels=labels, annotations=annotations, options=options
        )
        return self._engine.plan([os.fspath(model) for model in models], settings, lock, progress)

    def describe(self, plan: Plan, *, progress: Progress | None = None) -> PlanReport:
        """What an image of the plan would hold, and what not, with reasons."""
        return self._engine.describe(plan, progress)

    def build(
        self,
        *models: Path,
        output: str | Sequence[str] | None = None,
        load: Sequence[str] = (),
        tag: str | None = None,
        key: Key | None = None,
        sbom: bool = False,
        sign_large_models: bool = False,
        progress: Progress | None = None,
        **request: object,
    ) -> BuildReport:
        """Builds an image.

        Args:
            models: model files or folders.
            output: ``oci:DIR[:TAG]``, ``oci-archive:FILE[:TAG]``, ``docker-archive:FILE``, ``HOST/REPO[:TAG]``, or several of them; default
                ``oci:./NAME.oci`` unless it is loaded.
            load: container engines to put it into: ``"docker"``, ``"podman"``, ``"containerd"``.
            tag: its name there, and what signatures in layouts call it; default: ``NAME:latest``.
            key: signs the image, SBOMs, provenance and the models (see ``read_key``, and ``sign_large_models``).
            sbom: attach SBOMs, also without a key.
            sign_large_models: models with a file beyond 64 MiB get a signature of their own, too; they are read once more.
            request: as for ``plan``.
        """
        plan = self.plan(*models, progress=progress, **request)  # type: ignore[arg-type]
        return self.build_plan(plan, output=output, load=load, tag=tag, key=key, sbom=sbom, sign_large_models=sign_large_models, progress=progress)

    def build_plan(
        self,
        plan: Plan,
        *,
        output: str | Sequence[str] | None = None,
        load: Sequence[str] = (),
        tag: str | None = None,
        key: Key | None = None,
        sbom: bool = False,
        sign_large_models: bool = False,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Builds what a plan says; arguments as for ``build``."""
        outputs = [output] if isinstance(output, str) else list(output or ())
        if not outputs and not load:
            outputs = [f"oci:./{plan.default_name}.oci:latest"]
        name = tag or f"{plan.default_name}:latest"
        return self._engine.build(plan, outputs, list(load), name, key, sbom, sign_large_models, int(time.time()), progress)

    def copy(
        self,
        source: str,
        destination: str,
        *,
        platforms: str | Iterable[str] | None = None,
        referrers: bool = True,
        progress: Progress | None = None,
    ) -> CopyReport:
        """Copies an image from anywhere to anywhere: registries (``HOST/REPO[:TAG]``), layouts and archives.

        Args:
            platforms: only these; default: all.
            referrers: signatures, attestations and SBOMs come along.

        Raises:
            UnauthenticatedError, DeniedError, UnavailableError, NotFoundError, CorruptError
        """
        listed = platforms if isinstance(platforms, str) else ",".join(platforms or ())
        return self._engine.copy(source, destination, listed, referrers, progress)

    def sign(self, image: str, key: Key, *, annotations: Mapping[str, str] | None = None, progress: Progress | None = None) -> SigningReport:
        """Signs an image in a registry or a layout: its index and each platform's image. What is there by the same key is not written again.

        Args:
            image: ``HOST/REPO[:TAG|@DIGEST]`` or ``oci:DIR[:TAG]``.
            key: of ``read_key`` or ``make_key``.
            annotations: what the signature carries.

        Raises:
            NotFoundError, UnsupportedError (an archive), UnauthenticatedError, DeniedError, UnavailableError
            CorruptError: what was written does not verify when it is read back.
        """
        return _core.sign(self._engine, image, key, dict(annotations or {}), int(time.time()), progress)

    def verify(
        self,
        image: str,
        keys: Iterable[Path],
        *,
        threshold: int = 1,
        annotations: Mapping[str, str] | None = None,
        attestations: Iterable[str] = (),
        every_platform: bool = False,
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Judges the signatures and attestations of an image.

        Args:
            image: ``HOST/REPO[:TAG|@DIGEST]``, ``oci:DIR[:TAG]`` or ``oci-archive:FILE[:TAG]``.
            keys: public keys, as files or as PEM text.
            threshold: how many different signers it takes.
            annotations: what signatures must carry.
            attestations: types that must be there, ``"spdxjson"``, ``"slsaprovenance1"`` or a URI.
            every_platform: each platform's image must be trusted too.

        Returns:
            The verdict, true when the image is trusted, with a reason for each candidate. Not to be trusted is no exception.
        """
        return _core.verify(
            self._engine, image, [os.fspath(key) for key in keys], threshold, dict(annotations or {}), list(attestations), every_platform,
            int(time.time()), progress,
        )

    def tags(self, repository: str, *, progress: Progress | None = None) -> list[str]:
        """The tags of ``HOST/REPO``, sorted."""
        return self._engine.tags(repository, progress)

    def inspect(self, image: str, *, progress: Progress | None = None) -> Image:
        """Reads an image back: ``HOST/REPO[:TAG]``, ``oci:DIR[:TAG]``, ``oci-archive:FILE`` or ``docker-archive:FILE``."""
        return self._engine.inspect(image, progress)

    def why(self, image: str, path: str, platform: str | None = None, *, progress: Progress | None = None) -> list[WhyLink]:
        """The chain of reasons that put a file into an image, from the entrypoint on."""
        return self._engine.why(image, path, platform or "", progress)

    def sbom(self, image: str, format: str = "spdx-json", platform: str | None = None, *, progress: Progress | None = None) -> str:
        """What is in an image that aipack built, as an SBOM: the bytes that `aipack sbom` prints.

        Args:
            image: as for `inspect`.
            format: ``"spdx-json"`` (SPDX 2.3) or ``"cyclonedx-json"`` (CycloneDX 1.6 with model cards).
            platform: about this platform's image, ``"linux/arm64"``; default: about all of them.

        Returns:
            The document, JSON in UTF-8 with a newline at the end.

        Raises:
            UnsupportedError: aipack did not build the image.
            InvalidInputError: no such format.
            NotFoundError: the image, a layer or the platform is not there.
        """
        return self._engine.sbom(image, format, platform or "", progress)


def analyze(model: Path, *, progress: Progress | None = None) -> Model:
    """Reads a model without its weights; see `Engine.analyze`."""
    return Engine().analyze(model, progress=progress)


def plan(*models: Path, **request: object) -> Plan:
    """Every decision of a build; see `Engine.plan`."""
    return Engine().plan(*models, **request)  # type: ignore[arg-type]


def build(
    *models: Path, output: str | Sequence[str] | None = None, progress: Progress | None = None, **request: object
) -> BuildReport:
    """Builds an image; see `Engine.build`."""
    return Engine().build(*models, output=output, progress=progress, **request)


def copy(source: str, destination: str, **options: object) -> CopyReport:
    """Copies an image from anywhere to anywhere; see `Engine.copy`."""
    return Engine().copy(source, destination, **options)  # type: ignore[arg-type]


def read_key(path: Path, password: str | None = None) -> Key:
    """Opens a private key: cosign's, PKCS#8, PKCS#1 or SEC1, in PEM.

    Raises:
        UnauthenticatedError: the password is wrong, or there is none and the key wants one.
        DeniedError: others than its owner can read the file.
        CorruptError, UnsupportedError, NotFoundError
    """
    return _core.read_key(os.fspath(path), password)


def make_key(path: Path, password: str, type: str = "p256") -> Key:
    """Makes a key pair and writes the private half, locked with the password; never replaces a file. The public half is ``Key.public_key``."""
    return _core.make_key(type, os.fspath(path), password)


def sign(image: str, key: Key, **options: object) -> SigningReport:
    """Signs an image; see `Engine.sign`."""
    return Engine().sign(image, key, **options)  # type: ignore[arg-type]


def verify(image: str, keys: Iterable[Path], **options: object) -> VerifyReport:
    """Judges who signed an image; see `Engine.verify`."""
    return Engine().verify(image, keys, **options)  # type: ignore[arg-type]


def tags(repository: str) -> list[str]:
    """The tags of a repository; see `Engine.tags`."""
    return Engine().tags(repository)


def inspect(image: str) -> Image:
    """Reads an image back; see `Engine.inspect`."""
    return Engine().inspect(image)


def sbom(image: str, format: str = "spdx-json", platform: str | None = None) -> str:
    """What is in an image, as an SBOM; see `Engine.sbom`."""
    return Engine().sbom(image, format, platform)


def why(image: str, path: str, platform: str | None = None) -> list[WhyLink]:
    """The chain of reasons of one file; see `Engine.why`."""
    return Engine().why(image, path, platform)
