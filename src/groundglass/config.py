"""One settings object: DIR/groundglass.toml, then GROUNDGLASS_SECTION__KEY; unknown keys are refused.

Lists are comma-separated in the environment.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from groundglass.errors import UsageError

_PREFIX = "GROUNDGLASS_"
# Variables with the prefix that are not settings of a section.
_DIRECT = {"DATABASE_URL": ("registry", "database_url"), "OBJECTS_URL": ("objects", "url")}
_ELSEWHERE = {"DATA", "ADMIN_PASSWORD", "TOKEN", "FAILPOINT"}


def _as_list(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Names = Annotated[list[str], BeforeValidator(_as_list)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Gateway(_Section):
    """The hospital's zone."""

    database_url: str | None = None
    collection: str = "fidac"
    profile: str = "fidac-anonyme"
    centre: str = "LOCAL"
    allowed_aets: Names = []
    settle_seconds: float = Field(default=5.0, gt=0)
    high_water_pct: float = Field(default=90.0, gt=0, le=100)
    key_file: Path | None = None
    segment_mib: int = Field(default=256, ge=1, le=65536)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    max_associations: int = Field(default=64, ge=1)
    max_associations_per_peer: int = Field(default=16, ge=1)
    associate_seconds: float = Field(default=30.0, gt=0)
    idle_seconds: float = Field(default=60.0, gt=0)
    registry_url: str | None = None
    registry_token_file: Path | None = None
    registry_key_file: Path | None = None


class Registry(_Section):
    """The national zone."""

    database_url: str | None = None
    accepted_sop_classes: Names = ["1.2.840.10008.5.1.4.1.1.2"]


class Objects(_Section):
    """Where packages are kept: a folder below DIR, or a file: or s3: URL."""

    url: str | None = None
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = None
    skip_signature: bool = False


class Web(_Section):
    """The HTTP doors."""

    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: Names = []
    public_url: str | None = None


class Jobs(_Section):
    """Workers. Short times are for tests."""

    concurrency: int = Field(default=2, ge=1)
    heartbeat_seconds: float = Field(default=10.0, gt=0)
    stalled_seconds: float = Field(default=30.0, gt=0)
    reclaim_seconds: float = Field(default=60.0, gt=0)
    sweep_seconds: float = Field(default=300.0, gt=0)
    retry_seconds: float = Field(default=2.0, gt=0)
    max_attempts: int = Field(default=5, ge=1)


class Settings(_Section):
    """Every setting of one installation; `data` is its folder."""

    data: Path
    gateway: Gateway = Gateway()
    registry: Registry = Registry()
    objects: Objects = Objects()
    web: Web = Web()
    jobs: Jobs = Jobs()

    @property
    def gateway_dir(self) -> Path:
        """Where the gateway zone keeps its files."""
        return self.data / "gateway"

    @property
    def registry_dir(self) -> Path:
        """Where the registry zone keeps its files."""
        return self.data / "registry"


def data_folder(given: Path | None = None) -> Path:
    """Return the data folder: the one given, else GROUNDGLASS_DATA, else the platform's."""
    named = given or os.environ.get(f"{_PREFIX}DATA")
    return Path(named).absolute() if named else Path(platformdirs.user_data_dir("groundglass"))


def load(data: Path | None = None) -> Settings:
    """Read the settings of a data folder. Raises UsageError, naming the key but never its value."""
    folder = data_folder(data)
    values = _from_toml(folder / "groundglass.toml")
    for (section, key), value in _from_environment().items():
        table = values.setdefault(section, {})
        if not isinstance(table, dict):
            raise UsageError(f"groundglass.toml: {section} must be a table, [{section}]")
        table[key] = value
    try:
        return Settings.model_validate({**values, "data": folder})
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}") from None
    if "data" in values:
        raise UsageError("groundglass.toml: unknown key data; name the folder by --data or GROUNDGLASS_DATA")
    return values


def _from_environment() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name, value in os.environ.items():
        if not name.startswith(_PREFIX) or (rest := name.removeprefix(_PREFIX)) in _ELSEWHERE:
            continue
        section, separator, key = rest.partition("__")
        if rest in _DIRECT:
            found[_DIRECT[rest]] = value
        elif separator:
            found[section.lower(), key.lower()] = value
        else:
            raise UsageError(f"unknown setting {name}: settings are GROUNDGLASS_SECTION__KEY")
    return found


def _explain(error: ValidationError) -> str:
    faults = []
    for fault in error.errors(include_input=False, include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        faults.append(f"unknown key {key}" if fault["type"] == "extra_forbidden" else f"{key}: {fault['msg']}")
    return "settings: " + "; ".join(faults) + ". See docs/reference/settings.md"
