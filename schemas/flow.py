"""Flows: which audiences and attributes go to which destination (contract M2, M3, 4b)."""

from collections import Counter
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationInfo, WrapValidator, field_validator

from schemas.audience import AudienceKey
from schemas.destination import Destination
from schemas.model import STORED, Items, Model, Name, Remarks, Time
from schemas.paths import fault_of_path, read_path, split_path, without_prefixes

MAX_FLOWS: Final = 100  # contract M3
MAX_ATTRIBUTES_WITHOUT_WARNING: Final = 50
MAX_AUDIENCES_WITHOUT_WARNING: Final = 250
ALWAYS_LEAVE: Final = frozenset({"segmentMembership", "identityMap"})


def _read_path(dotted: str, place: str, info: ValidationInfo) -> str:
    """Return the path without prefixes, which is told as a remark.

    One that is stored already may be in another notation: it matches what it matched.
    """
    if info.context == STORED:
        split_path(dotted)
        return without_prefixes(dotted)
    path = read_path(dotted)
    if path != dotted and isinstance(info.context, Remarks):
        info.context.append(f"{place}: {dotted} is read as {path}: the prefix xdm: is dropped")
    return path


def _attribute_path(dotted: str, info: ValidationInfo) -> str:
    return _read_path(dotted, "attributes", info)


def _gate_path(dotted: str, info: ValidationInfo) -> str:
    return _read_path(dotted, "options.consentGate", info)


AttributePath = Annotated[str, AfterValidator(_attribute_path)]
GatePath = Annotated[str, AfterValidator(_gate_path)]
_PATH: Final = TypeAdapter(GatePath, config=ConfigDict(strict=True))
_PATHS: Final = TypeAdapter(Annotated[tuple[GatePath, ...], Items], config=ConfigDict(strict=True))


def _read_gate(given: object, _: object, info: ValidationInfo) -> str | tuple[str, ...]:
    """Read one path or several, as they were given; the union of both would tell of each fault twice."""
    if isinstance(given, list | tuple):
        return _PATHS.validate_python(given, context=info.context)
    if isinstance(given, dict):
        raise ValueError("is neither an attribute path nor a list of them")
    return _PATH.validate_python(given, context=info.context)


ConsentGate = Annotated[str | tuple[str, ...], WrapValidator(_read_gate)]
"""An attribute path, or a list of them (contract F6)."""


class FlowState(StrEnum):
    """The states of a flow: it sends, or it does not (A12)."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class AudienceMapping(Model):
    """One mapped audience, and when it was mapped (contract C6)."""

    namespace: Name
    id: Name
    created_at: Time | None = None
    updated_at: Time | None = None

    @property
    def key(self) -> AudienceKey:
        """Return the namespace and the id."""
        return self.namespace, self.id


class Triggers(Model):
    """The kinds of cause that may send a record (A10)."""

    attributes: bool = True
    segments: bool = True
    external_segments: bool = True
    identities: bool = True


def is_partition_key(text: str, info: ValidationInfo) -> str:
    """Return the text, if it is a value of the option (G5), its path in the contract's notation; raise ValueError."""
    kind, _, argument = text.partition(":")
    if text == "profileId" or (kind == "identity" and argument):
        return text
    if kind == "attribute" and argument:
        return f"attribute:{_read_path(argument, 'options.partitionKey', info)}"
    raise ValueError("is none of profileId, identity:<namespace>, attribute:<path>")


class Options(Model):
    """The options of contract 4b; the defaults are the parity behaviour."""

    include_segment_names: bool = False
    include_segment_timestamps: bool = False
    suppress_unchanged: bool = False
    allow_arrays: bool = False
    membership_gate: Literal["realized", "everQualified", "none"] = "realized"
    membership_scope: Literal["adobe", "mapped", "all"] = "adobe"
    identity_fields: Literal["id", "all"] = "id"
    lowercase_namespaces: bool = False
    envelope: Literal["none", "cloudevents"] = "none"
    record_delimiter: Literal["none", "newline"] = "none"
    partition_key: Annotated[str, AfterValidator(is_partition_key)] = "profileId"
    triggers: Triggers = Triggers()
    on_delete: Literal["export", "silent"] = "export"
    emit_exit_on_unmap: bool = False
    on_resume: Literal["catchup", "skip"] = "catchup"
    consent_gate: ConsentGate | None = None

    @property
    def consent_paths(self) -> tuple[str, ...]:
        """Return the paths of the consent gate; () where there is none."""
        gate = self.consent_gate
        return () if gate is None else (gate,) if isinstance(gate, str) else gate


class Flow(Model):
    """One activation, as a file or the `flows` topic says it."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    name: str = ""
    description: str | None = None
    state: FlowState = Field(default=FlowState.ENABLED, strict=False)
    destination: Destination
    audiences: Annotated[tuple[AudienceMapping, ...], Items] = ()
    attributes: Annotated[tuple[AttributePath, ...], Items] = ()
    options: Options = Options()

    @field_validator("audiences", "attributes")
    @classmethod
    def _each_once(cls, items: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if info.context == STORED:  # two that were told apart by a prefix only
            return tuple(dict.fromkeys(items))
        keys = [item.key if isinstance(item, AudienceMapping) else (item,) for item in items]
        if doubled := sorted("/".join(key) for key, count in Counter(keys).items() if count > 1):
            raise ValueError(f"mapped twice: {', '.join(doubled)}")
        return items

    @property
    def path_faults(self) -> list[str]:
        """Return the paths in another notation than the contract's, of a flow from before that was refused (M5).

        Such a flow goes on as it did: its path names a member of just that name.
        """
        kind, _, argument = self.options.partition_key.partition(":")
        gate = self.options.consent_gate
        said = {
            "attributes": self.attributes,
            "options.consentGate": (gate,) if isinstance(gate, str) else gate or (),
            "options.partitionKey": (argument,) if kind == "attribute" else (),
        }
        return [
            f"{place}: {path} {fault}"
            for place, paths in said.items()
            for path in paths
            if (fault := fault_of_path(path)) is not None
        ]

    @property
    def enabled(self) -> bool:
        """Return whether the flow sends."""
        return self.state is FlowState.ENABLED
