"""Where aipack keeps and finds things when the caller does not say: the only place that reads the environment."""

from __future__ import annotations

import os
import pathlib


def cache_dir() -> str:
    """``$AIPACK_CACHE_DIR``, else ``aipack`` below the user's cache folder."""
    if own := os.environ.get("AIPACK_CACHE_DIR"):
        return own
    base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return str(pathlib.Path(base) / "aipack")


def verdict_key() -> str:
    """The secret that seals what the cache remembers of verified releases: outside of the cache. Empty without a home."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        try:
            base = str(pathlib.Path.home() / ".local/state")
        except RuntimeError:
            return ""
    return str(pathlib.Path(base) / "aipack" / "verdict.key")


def data_dirs() -> list[str]:
    """Folders that may hold aipack's runtime catalog and servers: the environment's, the package's, the prefix's."""
    here = pathlib.Path(__file__).resolve().parent
    candidates = [here / "share", *(parent / "share" / "aipack" for parent in here.parents), pathlib.Path("/usr/share/aipack")]
    found = [str(path) for path in candidates if (path / "runtimes").is_dir()]
    own = os.environ.get("AIPACK_DATA_DIR")
    return [own, *found] if own else found


def catalog_dirs() -> list[str]:
    """The user's own runtime entries, if there are any."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(pathlib.Path.home() / ".config")
    own = pathlib.Path(base) / "aipack" / "runtimes"
    return [str(own)] if own.is_dir() else []


def keyrings() -> list[str]:
    """``$AIPACK_KEYRING``; nothing means Debian's."""
    own = os.environ.get("AIPACK_KEYRING")
    return [own] if own else []


def settings() -> dict[str, str | bool]:
    """The settings that ``AIPACK_*`` variables and ``SOURCE_DATE_EPOCH`` make."""
    names = {
        "mirror": "AIPACK_MIRROR",
        "platform": "AIPACK_PLATFORM",
        "base": "AIPACK_BASE",
        "runtime": "AIPACK_RUNTIME",
        "suite": "AIPACK_SUITE",
        "compress": "AIPACK_COMPRESS",
        "source_date_epoch": "SOURCE_DATE_EPOCH",
    }
    found: dict[str, str | bool] = {key: os.environ[name] for key, name in names.items() if os.environ.get(name)}
    if skip := os.environ.get("AIPACK_SKIP_INCOMPLETE_SUITES"):
        found["skip_incomplete_suites"] = skip in ("1", "true")
    return found
