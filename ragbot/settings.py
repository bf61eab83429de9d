"""One frozen settings object, and the only reader of the environment and of ragbot.toml."""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableEnvironmentError

from ragbot.errors import SettingsError
from ragbot.secrecy import without_secrets

CONFIG_NAME = "ragbot.toml"


class Settings(BaseSettings):
    """Everything that can be set, by argument, by ``RAGBOT_…`` in the environment or in ragbot.toml, in this order.

    Unknown keys are rejected, so that a typo fails at start and not at question time.
    """

    model_config = SettingsConfigDict(env_prefix="RAGBOT_", frozen=True, extra="forbid", protected_namespaces=())

    sources: Path = Field(Path("sources"), description="folder with the curated articles")
    index: Path = Field(Path("index"), description="folder of the built index")
    policy: Path | None = Field(None, description="folder of the guardrail policy; the reviewed one of the package where unset")
    region: str = Field("US", description="region whose crisis resources are named first")
    embedding_model: Path | None = Field(None, description="folder of a sentence-transformers model")
    reranker_model: Path | None = Field(None, description="folder of a cross-encoder; no reranking where unset")
    model: str = Field("extractive", description="'extractive', or provider:name of a chat model")
    model_base_url: str | None = Field(None, description="address of a chat model that is served elsewhere")
    model_timeout_seconds: float = Field(30.0, gt=0, le=600)
    passages: int = Field(8, ge=1, le=50, description="passages that an answer is drawn from")
    review_grace_days: int = Field(365, ge=0, description="days after its review was due from which an article is not used any more")
    question_limit: int = Field(2000, ge=100, le=20000, description="characters of a question")
    host: str = Field("127.0.0.1", description="address that the chat page listens on")
    port: int = Field(7860, ge=1, le=65535)
    trusted_proxies: str = Field("", description="addresses or networks, apart by commas, of proxies whose X-Forwarded-For is believed")
    staff: dict[str, str] = Field({}, description="who may use the staff page: name → argon2 hash of a password (ragbot staff password)")
    keep_questions: bool = Field(False, description="keep the redacted text of questions that found no answer, for the staff page")
    keep_questions_days: int = Field(30, ge=1, le=30, description="days after which kept questions are deleted")
    commit_sources: bool = Field(True, description="commit what is published and retired, where the sources lie in a git repository")
    watch: bool = Field(False, description="follow the folder of sources while serving")
    questions_per_minute: int = Field(10, ge=1, description="in one conversation")
    questions_per_day: int = Field(100, ge=1, description="in one conversation")
    questions_per_minute_from_address: int = Field(240, ge=1, description="from one address, behind which a whole clinic may sit")
    questions_per_day_from_address: int = Field(10_000, ge=1, description="from one address")

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: str) -> str:
        # uvicorn takes anything, so that a typo would count all visitors as one, and "*" would let everybody pass for anybody.
        for address in filter(None, value.replace(" ", "").split(",")):
            ipaddress.ip_network(address)
        return value.replace(" ", "")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings)

    @classmethod
    def load(cls, config: Path | None = None, **overrides: Any) -> Settings:
        """The settings in force.

        Args:
            config: a TOML file; where None, ``RAGBOT_CONFIG`` or ./ragbot.toml is read if it exists.
            overrides: what the command line says; None means unsaid.

        Raises:
            SettingsError: an unknown key, a value of the wrong kind, or a file that cannot be read.
        """
        named = config or named_config()
        path = named or Path(CONFIG_NAME)
        from_file: dict[str, Any] = {}
        if named is not None or path.is_file():
            try:
                from_file = tomllib.loads(path.read_text(encoding="utf-8")).get("ragbot", {})
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise SettingsError(f"The settings file {str(path)!r} cannot be read: {error}.", "Mend it or leave it out.") from error
        if not isinstance(from_file, dict):
            raise SettingsError(f"'ragbot' in {str(path)!r} is not a table.", "Write it as [ragbot].")
        known = {f"RAGBOT_{key}".upper() for key in cls.model_fields} | {"RAGBOT_CONFIG"}
        unknown = sorted(key for key in os.environ if key.startswith("RAGBOT_") and key not in known)
        if unknown:
            raise SettingsError(f"{unknown[0]!r} in the environment is no setting.", f"Known: {', '.join(sorted(known))}.")
        in_environment = {key for key in from_file if f"RAGBOT_{key}".upper() in os.environ}
        said = {key: value for key, value in overrides.items() if value is not None}
        try:
            return cls(**{key: value for key, value in from_file.items() if key not in in_environment} | said)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            name = without_secrets(".".join(str(part) for part in problem["loc"]))
            hint = f"Known settings: {', '.join(sorted(cls.model_fields))}." if problem["type"] == "extra_forbidden" else ""
            # What was given may be a secret in the wrong place, so that neither the reason nor its cause is told with it.
            raise SettingsError(f"The setting {name!r} cannot be used: {without_secrets(problem['msg'])}.", hint) from None
        except UnreadableEnvironmentError as error:
            name = next((key for key in cls.model_fields if f'"{key}"' in str(error)), "")
            raise SettingsError(f"'RAGBOT_{name.upper()}' in the environment cannot be read.", 'Write it as JSON, such as {"name": "value"}.') from None


def named_config() -> Path | None:
    """The settings file that the environment names."""
    return Path(os.environ["RAGBOT_CONFIG"]) if os.environ.get("RAGBOT_CONFIG") else None
