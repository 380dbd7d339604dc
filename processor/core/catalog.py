"""The flows and audiences as they stand at one moment, compiled once: paths split, sets built (contract M1 to M3).

An immutable snapshot; a change of configuration makes a new one. Every batch is decided by one snapshot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from processor.core.flow_index import FlowIndex
from processor.core.record_index import RecordIndex
from schemas.audience import DEFAULT_MERGE_POLICY, OWN_NAMESPACE, Audience, AudienceKey
from schemas.flow import ALWAYS_LEAVE, AudienceMapping, Flow, FlowState, Options, Triggers
from schemas.job import Job, JobKind
from schemas.paths import Path, split_path
from schemas.times import parse_time

Extras = dict[str, Any]
"""What a mapped audience's entry shows beside its two fields (C5, C6); {} where nothing."""

Tree = dict[str, "Tree | None"]
"""The mapped attributes as a tree of path segments; None marks a mapped path, what lies below it leaves with it."""

FlowStates = tuple[tuple[str, bool], ...]
"""(flow id, whether it is enabled) of each flow: what is kept of a catalog to tell why flows sent nothing."""

FEW_FLOWS: Final = 2
"""Enabled flows that are all decided at every event: to look up which costs 0.5 µs, to decide one that does not match
0.4 (measured).
"""

_UNKNOWN: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A mapped attribute that can have an effect; its path is also apart, above and the last segment."""

    path: Path
    above: Path
    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class PartitionKey:
    """The value of a profile that is Kinesis' partition key (G5): an identity, an attribute, else the profile id."""

    namespace: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    """One flow, ready to decide with."""

    flow: Flow
    id: str
    etag: str
    enabled: bool
    options: Options
    all_triggers_on: bool
    suppress_unchanged: bool
    ends_lines: bool
    mapped: dict[str, dict[str, Extras]]
    attributes_by_root: dict[str, tuple[Attribute, ...]]
    tree: Tree
    partition_key: PartitionKey
    consent_gates: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class CompiledJob:
    """A job that was not cancelled, and its flow. `audiences`: those it is about, by namespace.

    `runs`: its records may leave now. `tracks_missed`: what its disabled flow misses is kept for it.
    """

    job: Job
    id: str
    kind: JobKind
    flow: CompiledFlow
    audiences: dict[str, tuple[str, ...]]
    runs: bool
    tracks_missed: bool

    @property
    def missed_id(self) -> str:
        """Return the id under which a catchup keeps its missed changes."""
        return self.job.missed_id


class Catalog:
    """The flows of one moment, compiled, with the index of the enabled ones and the merge policies of all audiences.

    Where the flows are few, they have no index (None).

    `tracking`: disabled flows for which a catchup job tracks what they miss (F1), `records` their index (None: there
    are none). `cancelled`: ids of jobs that are, and of those whose flow is gone.
    """

    __slots__ = (
        "_merge_policies",
        "cancelled",
        "enabled",
        "flow_states",
        "flows",
        "flows_by_id",
        "index",
        "jobs",
        "records",
        "tracking",
    )

    def __init__(
        self,
        flows: tuple[CompiledFlow, ...],
        merge_policies: dict[str, dict[str, str]],
        jobs: tuple[CompiledJob, ...] = (),
        leaving: tuple[CompiledFlow, ...] = (),
        cancelled: frozenset[str] = frozenset(),
    ) -> None:
        self.flows = flows
        self.cancelled = cancelled
        self.jobs = jobs
        self.tracking = tuple(job.flow for job in jobs if job.tracks_missed)
        self.flows_by_id = {flow.id: flow for flow in (*leaving, *flows)}
        self.flow_states: FlowStates = tuple((flow.id, flow.enabled) for flow in flows)
        self.enabled = tuple(flow for flow in flows if flow.enabled)
        self.index = _index(self.enabled) if len(self.enabled) > FEW_FLOWS else None
        self._merge_policies = merge_policies
        self.records = self._record_index() if self.tracking else None

    @classmethod
    def of(
        cls,
        flows: Iterable[Flow],
        audiences: Iterable[Audience],
        etags: Mapping[str, str] = _UNKNOWN,
        jobs: Iterable[Job] = (),
        leaving: Iterable[Flow] = (),
    ) -> "Catalog":
        """Compile. `etags` by flow id; the audiences may know more or fewer than the flows map.

        `leaving`: flows that were deleted, and whose last exits are still to leave (F2): they decide nothing.
        """
        described = {audience.key: audience for audience in audiences}
        policies: dict[str, dict[str, str]] = {}
        for (namespace, audience_id), audience in described.items():
            policies.setdefault(namespace, {})[audience_id] = audience.merge_policy_id
        compiled = [_compiled(flow, described, etags.get(flow.id, "")) for flow in flows]
        gone = [
            _compiled(flow.model_copy(update={"state": FlowState.DISABLED}), described, etags.get(flow.id, ""))
            for flow in leaving
        ]
        by_id = {flow.id: (flow, True) for flow in gone} | {flow.id: (flow, flow.enabled) for flow in compiled}
        alive, cancelled = [], []
        for job in jobs:
            if job.cancelled_at is None and job.flow in by_id:
                alive.append(_compiled_job(job, *by_id[job.flow]))
            else:
                cancelled.append(job.id)
        return cls(tuple(compiled), policies, tuple(alive), tuple(gone), frozenset(cancelled))

    def flow(self, flow_id: str) -> Flow | None:
        """Return the flow of this id, also one that is leaving; None where there is none."""
        compiled = self.flows_by_id.get(flow_id)
        return compiled.flow if compiled is not None else None

    def merge_policies(self, namespace: str) -> Mapping[str, str]:
        """Return the merge policies of the audiences of a namespace that somebody described, by audience id."""
        return self._merge_policies.get(namespace, _UNKNOWN)

    def merge_policy(self, namespace: str, audience_id: str) -> str:
        """Return the audience's merge policy; `default` where nobody described it (M1)."""
        return self._merge_policies.get(namespace, _UNKNOWN).get(audience_id, DEFAULT_MERGE_POLICY)

    def _record_index(self) -> RecordIndex:
        index = RecordIndex(_index(self.tracking), self._merge_policies)
        for place, flow in enumerate(self.tracking):
            policies = {
                self.merge_policy(namespace, audience)
                for namespace, audiences in flow.mapped.items()
                for audience in audiences
            }
            index.add(1 << place, flow.options.membership_gate, flow.options.membership_scope, policies)
        return index


def _compiled(flow: Flow, described: Mapping[AudienceKey, Audience], etag: str) -> CompiledFlow:
    paths = [split_path(dotted) for dotted in flow.attributes]
    effective = [path for path in paths if path[0] not in ALWAYS_LEAVE]
    by_root: dict[str, tuple[Attribute, ...]] = {}
    for path in effective:
        by_root[path[0]] = (
            *by_root.get(path[0], ()),
            Attribute(path, path[:-1], path[-1], f"attribute:{'.'.join(path)}"),
        )
    mapped: dict[str, dict[str, Extras]] = {}
    for mapping in flow.audiences:
        mapped.setdefault(mapping.namespace, {})[mapping.id] = _extras(flow, mapping, described.get(mapping.key))
    return CompiledFlow(
        flow=flow,
        id=flow.id,
        etag=etag,
        enabled=flow.enabled,
        options=flow.options,
        all_triggers_on=flow.options.triggers == Triggers(),
        suppress_unchanged=flow.options.suppress_unchanged,
        ends_lines=flow.options.record_delimiter == "newline",
        mapped=mapped,
        attributes_by_root=by_root,
        tree=_tree(effective),
        partition_key=_partition_key(flow.options.partition_key),
        consent_gates=tuple(map(split_path, flow.options.consent_paths)),
    )


def _compiled_job(job: Job, flow: CompiledFlow, may_send: bool) -> CompiledJob:
    """`may_send`: the flow is enabled, or leaving."""
    audiences: dict[str, tuple[str, ...]] = {}
    for namespace, audience in job.wanted:
        audiences[namespace] = (*audiences.get(namespace, ()), audience)
    started = job.started_at is not None
    return CompiledJob(
        job,
        job.id,
        job.kind,
        flow,
        audiences,
        started and may_send,
        not started and not may_send and job.kind is JobKind.CATCHUP,
    )


def _index(flows: Iterable[CompiledFlow]) -> FlowIndex:
    index = FlowIndex()
    for place, flow in enumerate(flows):
        paths = [attribute.path for attributes in flow.attributes_by_root.values() for attribute in attributes]
        paths += flow.consent_gates
        index.add(1 << place, flow.mapped, paths, flow.options.membership_gate)
    return index


def _extras(flow: Flow, mapping: AudienceMapping, audience: Audience | None) -> Extras:
    """Return what an entry of a mapped audience shows beside status and time. Home of C5 and C6."""
    extras: Extras = {}
    if flow.options.include_segment_names and audience is not None and audience.name is not None:
        extras["name"] = audience.name
    if flow.options.include_segment_timestamps:
        times = {
            "createdAt": audience.created_at if audience is not None else None,
            "updatedAt": audience.updated_at if audience is not None else None,
            "mappingCreatedAt": mapping.created_at,
            "mappingUpdatedAt": mapping.updated_at,
        }
        extras.update({name: parse_time(time) * 1000 for name, time in times.items() if time is not None})
    return extras


def _tree(paths: Iterable[Path]) -> Tree:
    tree: Tree = {}
    for path in sorted(paths):  # an ancestor comes before what lies below it
        node = tree
        for segment in path[:-1]:
            below = node.setdefault(segment, {})
            if below is None:
                break
            node = below
        else:
            node[path[-1]] = None
    return tree


def _partition_key(option: str) -> PartitionKey:
    kind, _, argument = option.partition(":")
    if kind == "identity":
        return PartitionKey(namespace=argument)
    if kind == "attribute":
        return PartitionKey(path=split_path(argument))
    return PartitionKey()


def is_own(namespace: str) -> bool:
    """Return whether an audience of this namespace comes from own segmentation (trigger `segments`, A10)."""
    return namespace == OWN_NAMESPACE
