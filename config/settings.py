"""Every setting of Likeness as one object.

Read in this order, later wins: config/likeness.toml, the file that LIKENESS_CONFIG names, the files in the folder that
LIKENESS_SECRETS_DIR names, LIKENESS_* variables.
"""

import ipaddress
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as VariableUnreadable


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what is expected."""


def packaged(name: str) -> Path:
    """The path of a file that ships in config/, such as `models.toml`."""
    return Path(str(resources.files("config"))) / name


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _default_home(value: Any = "") -> Any:
    return platformdirs.user_data_dir("likeness") if value == "" else value


T = TypeVar("T")
Maybe = Annotated[T | None, BeforeValidator(_empty_is_none)]
"""A value that the TOML file leaves empty as ""."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A table of likeness.toml; an unknown name in it is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Models(Section):
    pack: str
    threads: Annotated[int, Field(ge=0)]


class Pictures(Section):
    max_bytes: Count
    max_pixels: Count
    decode_seconds: Seconds
    working_side: Annotated[int, Field(ge=320)]


class Workers(Section):
    seconds: Seconds
    memory_bytes: Annotated[int, Field(ge=256_000_000)]


class Faces(Section):
    min_size: Count
    min_score: Share
    max_faces: Count


LOOPBACK = ("127.0.0.1", "::1", "localhost")
LEAST_BUDGET = 0.001
"""False alarms per 1,000 uploads: one in a million."""
Cosine = Annotated[float, Field(gt=0, lt=1)]
Budget = Annotated[float, Field(ge=LEAST_BUDGET, lt=1000)]


class Policy(Section):
    review_budget: Budget
    faces_per_upload: Annotated[float, Field(gt=0, le=1000)]
    threshold: Maybe[Cosine]
    calibration: Maybe[Path]
    holds_for: Literal["average", "worst_cohort"]
    name_claim_fmr: Annotated[float, Field(gt=0, lt=1)]


class Watermark(Section):
    read: Literal["findings", "all", "never"]


class Quarantine(Section):
    dismissed: Count
    hours: Annotated[float, Field(gt=0, le=8760)]
    share: Annotated[float, Field(gt=0, le=1)]


class Shadow(Section):
    pack: Maybe[str]
    review_budget: Maybe[Budget]
    threshold: Maybe[Cosine]
    calibration: Maybe[Path]

    @property
    def on(self) -> bool:
        """Whether there is a second policy at all."""
        return any(value is not None for value in (self.pack, self.review_budget, self.threshold, self.calibration))


class Enrolment(Section):
    min_size: Count
    min_sharpness: Share
    min_quality: Share
    min_score: Share
    photo_side: Count


class Database(Section):
    url: Maybe[SecretStr]


class Keys(Section):
    master_key: Maybe[SecretStr]
    master_key_file: Maybe[Path]
    older_master_key_file: Maybe[Path]
    kms_key_id: Maybe[str]
    kms_region: Maybe[str]
    kms_endpoint: Maybe[str]


def _servers(value: str) -> str:
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{server.strip()!r} is no host:port pair, such as kafka:9092")
    return value


class Kafka(Section):
    bootstrap_servers: Annotated[str, AfterValidator(_servers)]
    client_id: str
    group_id: str
    worker_id: Maybe[str]
    delivery: Literal["auto", "transactional", "at_least_once"]
    session_timeout_ms: Count
    max_poll_interval_ms: Count
    transaction_seconds: Seconds
    max_message_bytes: Count
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
    sasl_mechanism: Maybe[str]
    sasl_username: Maybe[str]
    sasl_password: Maybe[SecretStr]
    ssl_cafile: Maybe[Path]
    ssl_certfile: Maybe[Path]
    ssl_keyfile: Maybe[Path]
    ssl_password: Maybe[SecretStr]
    ssl_check_hostname: bool
    extra: dict[str, Any]

    @property
    def max_outcome_bytes(self) -> int:
        """Of a message sent: a dead letter carries its upload in base64, a third longer."""
        return 3 * self.max_message_bytes // 2


class Topics(Section):
    uploads: str
    screenings: str
    reviews: str
    dead_letters: str
    gallery_changes: str
    decisions: str
    reports: Maybe[str]
    probes: str
    create: bool
    partitions: Count
    replication_factor: Count


class Fetch(Section):
    allowed_hosts: tuple[str, ...]
    private_hosts: tuple[str, ...]
    file_root: Maybe[Path]
    allowed_buckets: tuple[str, ...]
    connect_seconds: Seconds
    total_seconds: Seconds
    attempts: Count
    max_redirects: Annotated[int, Field(ge=0)]
    concurrency: Count
    per_host: Count
    breaker_failures: Count
    breaker_seconds: Seconds


class Screening(Section):
    batch_size: Count
    batch_wait_ms: Count
    in_flight: Annotated[int, Field(ge=1, le=10_000)]
    in_flight_bytes: Count
    dead_letter_share: Share
    dead_letter_window: Count
    dead_letter_minimum: Count


class Gallery(Section):
    relay_seconds: Seconds
    retry_seconds: Seconds


class Milvus(Section):
    """Where the gallery is kept beyond one process's memory; without a uri each process holds it."""

    uri: Maybe[str]
    token: Maybe[SecretStr]
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,39}$")]
    index: Literal["HNSW", "IVF_FLAT", "FLAT"]
    hnsw_m: Annotated[int, Field(ge=4, le=64)]
    hnsw_ef_construction: Count
    hnsw_ef: Count
    ivf_nlist: Count
    ivf_nprobe: Count
    consistency: Literal["Strong", "Bounded", "Eventually"]
    seconds: Seconds

    def build_params(self, index: str) -> dict[str, int]:
        """What Milvus wants to know to build an index of this kind."""
        if index == "HNSW":
            return {"M": self.hnsw_m, "efConstruction": self.hnsw_ef_construction}
        return {"nlist": self.ivf_nlist} if index == "IVF_FLAT" else {}

    def search_params(self, limit: int) -> dict[str, int]:
        """What Milvus wants to know to search for the nearest `limit` rows."""
        if self.index == "HNSW":
            return {"ef": max(self.hnsw_ef, limit)}
        return {"nprobe": self.ivf_nprobe} if self.index == "IVF_FLAT" else {}


class Http(Section):
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]


def secure_address(value: str) -> str:
    """The URL if it is one of https, or of http on this machine. Raises ValueError."""
    parts = urlsplit(value)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not secure or not parts.hostname or parts.username or parts.fragment:
        raise ValueError("must be an https:// address, such as https://login.example.com")
    return value


def _origin(value: str) -> str:
    if urlsplit(secure_address(value)).path not in ("", "/") or "?" in value:
        raise ValueError("must be an address without a path, such as https://console.example.com")
    return value.rstrip("/")


class Oidc(Section):
    """Login by OpenID Connect; none without an issuer."""

    issuer: Maybe[Annotated[str, AfterValidator(secure_address)]]
    client_id: Maybe[str]
    client_secret: Maybe[SecretStr]
    scopes: tuple[str, ...]
    label: Annotated[str, Field(max_length=40)]
    login_claim: Annotated[str, Field(min_length=1)]
    role_claim: Annotated[str, Field(min_length=1)]
    roles: dict[str, Literal["moderator", "lead", "curator", "administrator", "auditor"]]
    allow_passwords: bool

    @model_validator(mode="after")
    def _whole(self) -> "Oidc":
        if self.issuer and not self.client_id:
            raise ValueError("an issuer needs a client_id, as which the console is registered there")
        if self.issuer and "openid" not in self.scopes:
            raise ValueError('scopes must hold "openid"')
        if not self.issuer and not self.allow_passwords:
            raise ValueError("without an issuer and without passwords nobody could log in")
        return self


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError(f"{value!r} is no address or network, such as 10.0.0.7 or 10.0.0.0/24") from None


class Web(Section):
    serves: Annotated[tuple[Literal["console", "reports"], ...], Field(min_length=1)]
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...]
    public_address: Maybe[Annotated[str, AfterValidator(_origin)]]
    session_hours: Count
    idle_minutes: Count
    oidc: Oidc

    @model_validator(mode="after")
    def _reachable(self) -> "Web":
        if self.oidc.issuer and not self.public_address:
            raise ValueError("oidc.issuer needs public_address: the provider sends browsers back there")
        return self


class Queue(Section):
    """Cases that the same people work on: those whose leading finding and identity are of these kinds."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    kinds: tuple[str, ...]
    identity_kinds: tuple[str, ...]
    held: bool
    roles: tuple[Literal["moderator", "lead"], ...]
    decisions: tuple[str, ...]
    four_eyes: bool
    target_minutes: Count


Member = Literal[
    "EU", "EEA", "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
]  # fmt: skip


class Statement(Section):
    """What statements of reasons say of the platform; texts as its users read them."""

    platform: Annotated[str, Field(max_length=100)]
    restrictions: Annotated[
        tuple[Literal["content_removed", "content_disabled", "account_suspended", "account_terminated"], ...],
        Field(min_length=1),
    ]
    ground: Literal["terms", "law"]
    clause: Annotated[str, Field(max_length=500)]
    clause_url: Maybe[str]
    territorial_scope: Annotated[tuple[Member, ...], Field(min_length=1)]
    complaint: str
    dispute_body: str
    court: str

    @model_validator(mode="after")
    def _grounded(self) -> "Statement":
        if self.ground == "law" and not self.clause:
            raise ValueError('the ground "law" needs a clause, the law that is broken')
        return self


class Console(Section):
    lease_seconds: Count
    grace_seconds: Annotated[int, Field(ge=0, le=3600)]
    picture_days: Count
    blur: bool
    grey: bool
    judge_first: bool
    campaign_cases: Annotated[int, Field(ge=2)]
    campaign_hours: Count
    golden_rate: Annotated[float, Field(ge=0, le=1)]
    double_review_rate: Annotated[float, Field(ge=0, le=1)]
    reasons: dict[str, tuple[str, ...]]
    statement: Statement
    queues: Annotated[tuple[Queue, ...], Field(min_length=1)]


class Reports(Section):
    """The door for people who find their face on somebody else's account."""

    months: Annotated[tuple[Annotated[int, Field(ge=1, le=120)], ...], Field(min_length=1)]
    remind_days: Count
    draft_minutes: Count
    session_minutes: Count
    per_address: Count
    per_device: Count
    roles: tuple[Literal["moderator", "lead"], ...]
    specialists: tuple[Literal["moderator", "lead"], ...]
    target_hours: Count
    reasons: Annotated[tuple[str, ...], Field(min_length=1)]
    evidence_accounts: Literal["ids", "digests", "none"]


class LookBack(Section):
    days: Annotated[int, Field(ge=0, le=400)]
    replay_days: Count
    pictures_per_second: Annotated[float, Field(gt=0)]


class Mail(Section):
    """How reporters are written to; not at all without a host."""

    host: Maybe[str]
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Literal["starttls", "tls", "none"]
    username: Maybe[str]
    password: Maybe[SecretStr]
    sender: Maybe[str]

    @model_validator(mode="after")
    def _whole(self) -> "Mail":
        if self.host and not self.sender:
            raise ValueError("a host needs a sender, as reporters are to read it")
        return self


class Coop(Section):
    """Where cases are reported to; nowhere without a url."""

    url: Maybe[Annotated[str, AfterValidator(secure_address)]]
    api_key: Maybe[SecretStr]
    item_type_id: Maybe[str]
    reporter_type_id: Maybe[str]
    reporter_id: Annotated[str, Field(min_length=1)]
    policy_id: Maybe[str]
    only: bool

    @model_validator(mode="after")
    def _whole(self) -> "Coop":
        if self.url and not (self.api_key and self.item_type_id and self.reporter_type_id):
            raise ValueError("a url needs api_key, item_type_id and reporter_type_id, as Coop shows them")
        if self.only and not self.url:
            raise ValueError("only = true needs a url: else nobody would work the cases")
        return self


class Log(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    format: Literal["json", "text"]


class Settings(BaseSettings):
    """The effective settings; frozen, and every default is written in likeness.toml, not here."""

    model_config = SettingsConfigDict(env_prefix="LIKENESS_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Annotated[Path, BeforeValidator(_default_home)] = Field(default_factory=_default_home, validate_default=True)
    models: Models
    pictures: Pictures
    workers: Workers
    faces: Faces
    policy: Policy
    watermark: Watermark
    quarantine: Quarantine
    shadow: Shadow
    enrolment: Enrolment
    database: Database
    keys: Keys
    kafka: Kafka
    topics: Topics
    fetch: Fetch
    screening: Screening
    gallery: Gallery
    milvus: Milvus
    http: Http
    web: Web
    console: Console
    reports: Reports
    look_back: LookBack
    mail: Mail
    coop: Coop
    log: Log

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # A table is set by its settings' variables only: LIKENESS_FACES itself is not ours, it names test data.
        if isinstance(env_settings, EnvSettingsSource):
            nested = {name: value for name, value in env_settings.env_vars.items() if "__" in name}
            env_settings.env_vars = nested | {"likeness_home": env_settings.env_vars.get("likeness_home")}
        sources = [init_settings, env_settings]
        if folder := os.environ.get("LIKENESS_SECRETS_DIR"):
            # Not pydantic's own source of secrets: it reads every file in the folder, and fails at another's keystore.
            secrets = EnvSettingsSource(settings_cls)
            secrets.env_vars = _secrets(folder)
            sources.append(secrets)
        if own := os.environ.get("LIKENESS_CONFIG"):
            sources.append(TomlConfigSettingsSource(settings_cls, Path(own)))
        sources.append(TomlConfigSettingsSource(settings_cls, packaged("likeness.toml")))
        return tuple(sources)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in force."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{self.home / 'likeness.db'}"

    @property
    def master_key_file(self) -> Path:
        return self.keys.master_key_file or self.home / ("master.key.kms" if self.keys.kms_key_id else "master.key")


def load_settings(**overrides: Any) -> Settings:
    """The settings in force. `overrides` (nested dictionaries by table) win over everything else.

    Raises SettingsError with one sentence per wrong setting.
    """
    own = os.environ.get("LIKENESS_CONFIG")
    if own and not Path(own).is_file():
        raise SettingsError(f"LIKENESS_CONFIG names {own}, which is not a file.")
    _check_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        wrong = [f"{'.'.join(map(str, one['loc']))}: {_said(one['type'], one['msg'])}" for one in errors]
        raise SettingsError("Settings are wrong: " + "; ".join(wrong) + ".") from None
    except VariableUnreadable as error:
        raise SettingsError(
            f"Settings are wrong: {error}; a list or a table in a variable is JSON, such as "
            """LIKENESS_FETCH__ALLOWED_HOSTS='["img.example.com"]'."""
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{own} is not valid TOML: {error}.") from None


def _secrets(folder: str) -> dict[str, str | None]:
    """What the folder's files that are named as variables hold; others may be anybody's.

    Raises SettingsError for what cannot be read, and for a file of a table that there is not.
    """
    found: dict[str, str | None] = {}
    file = Path(folder)
    try:
        for file in sorted(Path(folder).iterdir()):
            if _table(file.name):
                _check_table(file.name)
                found[file.name.lower()] = file.read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError(f"LIKENESS_SECRETS_DIR: {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"LIKENESS_SECRETS_DIR: {file} is not text in UTF-8.") from None
    return found


def _check_variables() -> None:
    """Raises SettingsError for a variable of a table that there is not, and for a value that is no UTF-8. Other
    LIKENESS_* variables may be anybody's: Kubernetes sets some for a service of that name."""
    for name, value in os.environ.items():
        if not _table(name) and name.upper() != "LIKENESS_HOME":
            continue
        _check_table(name)
        if value.encode(errors="replace").decode() != value:
            raise SettingsError(f"Settings are wrong: {name} is not text in UTF-8.")


def _check_table(name: str) -> None:
    table = _table(name)
    if table and table not in Settings.model_fields:
        raise SettingsError(f"Settings are wrong: {name} names the table [{table}], which there is not.")


def _table(name: str) -> str:
    """The table of likeness.toml that a variable or a secret's file sets something in; empty if it is not ours."""
    table, nested, _ = name.lower().removeprefix("likeness_").partition("__")
    return table if nested and name.lower().startswith("likeness_") else ""


def _said(kind: str, message: str) -> str:
    return "there is no such setting" if kind == "extra_forbidden" else message.removeprefix("Value error, ")
