"""The checks of `check`, in order: hot path, environment, broker, topics, catalog, each destination."""

from collections.abc import Container, Iterable, Iterator, Mapping
from difflib import get_close_matches

from processor.catalog.reading import read_state
from processor.catalog.state import Topic
from processor.cli.destinations import examine_flows, summarize
from processor.cli.placement import check_placement
from processor.cli.views.check_report import Finding, Level
from processor.delivery.kinesis.endpoints import endpoint_rules
from processor.foundation.env_file import ENV_FILE, OF_THE_ENVIRONMENT, Environment, unclosed_names
from processor.foundation.errors import CommandError, UsageError, what_and_remedy
from processor.foundation.secrets import secrets_of
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import ENV_PREFIX, env_name
from processor.foundation.settings_processing import ProcessingGuarantee
from processor.kafka.admin import Admin, Differences, differences_of, wrong_counts
from processor.kafka.errors import TopicsMissing, UnsafeTopics, WrongPartitionCounts
from processor.kafka.ground import Ground, require_settings
from processor.kafka.rights import GRANT, NOT_CHECKED
from processor.kafka.topics import TopicSpec, topic_specs
from schemas.flow import Flow
from schemas.worker_status import HotPathForm

_COMPILE = "where a C compiler is, `make setup` compiles it in a working copy, and `pip install` everywhere else"
_APPLY = "put it into force again with `profile-exporter apply FILE`"


def check_hot_path(form: HotPathForm) -> Iterator[Finding]:
    """Say which form of the hot path this installation runs."""
    if form == "compiled":
        yield Finding(Level.OK, "the hot path is compiled")
    else:
        yield Finding(Level.WARNING, f"the hot path is {form}: an event costs up to twice the CPU", _COMPILE)


def check_names(environ: Environment) -> Iterator[Finding]:
    """Find variables with our prefix that are no settings, and values of `.env` that hold their quotes.

    A typing error in a name would go unnoticed.
    """
    known = [env_name(field) for field in Settings.model_fields]
    for name in sorted(environ):
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            near = get_close_matches(name.upper(), known, n=1)
            text = f"{name} is set{_origin(environ, name)}, but there is no such setting"
            yield Finding(Level.WARNING, text, f"did you mean {near[0]}?" if near else "remove it")
    for name in unclosed_names():
        text = (
            f"{ENV_FILE}: the value of {name} is more than stands between its quotes: quotes, and a comment behind"
            " them, are a part of it"
        )
        yield Finding(
            Level.WARNING, text, "give comments lines of their own; nothing of a value is cut off or expanded"
        )


def _origin(environ: Environment, name: str) -> str:
    origin = environ.origin_of(name)
    return "" if origin in (None, OF_THE_ENVIRONMENT) else f" in {origin}"


def check_references(flows: Iterable[Flow], environ: Environment) -> Iterator[Finding]:
    """Say where each `${NAME}` of a flow comes from, and never its value.

    The check of the destination reports a name that is set nowhere.
    """
    named: dict[str, list[str]] = {}
    for flow in flows:
        for name in flow.destination.references:
            named.setdefault(name, []).append(flow.id)
    for name, flow_ids in sorted(named.items()):
        file = f"{name}_FILE"
        found = next(((each, origin) for each in (name, file) if (origin := environ.origin_of(each)) is not None), None)
        if found is not None:
            by = f"{'the file that ' + file + ' names there' if found[0] == file else 'its value'}"
            where = "the environment" if found[1] == OF_THE_ENVIRONMENT else found[1]
            yield Finding(
                Level.OK,
                f"${{{name}}} of flow{'s' if len(flow_ids) > 1 else ''} {', '.join(sorted(flow_ids))}: {by}, from"
                f" {where}",
            )


def check_kafka(settings: Settings, environ: Environment) -> Iterator[Finding]:
    """Check broker, topics, catalog and destinations; each needs the one before.

    Raises UsageError for settings that are refused.
    """
    require_settings(settings)
    specs = topic_specs(settings)
    try:
        admin = Admin(settings)
        counts = admin.partition_counts()
    except UsageError:
        raise
    except CommandError as error:
        yield _failed(error)
        return
    yield Finding(Level.OK, f"a Kafka broker answers at {settings.kafka_bootstrap_servers}")
    yield from _check_counts(specs, counts)
    try:
        yield from _check_ground(settings, Ground(admin, settings), specs)
        if {settings.topics.flows, settings.topics.audiences} <= counts.keys():
            yield from _check_catalog(settings, environ)
        if settings.topics.profile_events in counts:
            yield from check_placement(settings)
    except CommandError as error:
        yield _failed(error)


def _failed(error: CommandError) -> Finding:
    text, _, remedy = str(error).partition("\n")
    return Finding(Level.FAILED, text, remedy.strip())


def _check_counts(specs: Iterable[TopicSpec], counts: Mapping[str, int]) -> Iterator[Finding]:
    specs = tuple(specs)
    wrong = wrong_counts(specs, counts)
    remedy = str(WrongPartitionCounts(wrong)).rpartition("\n")[2].strip()
    for spec in specs:
        if spec.name not in counts:
            yield Finding(Level.FAILED, f"topic {spec.name} is missing", "create it with `profile-exporter init`")
        elif spec.name in wrong:
            found, wanted = wrong[spec.name]
            yield Finding(Level.FAILED, f"topic {spec.name} has {found} partitions, {wanted} are wanted", remedy)
        else:
            yield Finding(
                Level.OK, f"topic {spec.name}: {spec.partitions} partition{'s' if spec.partitions > 1 else ''}"
            )


def _check_ground(settings: Settings, ground: Ground, specs: tuple[TopicSpec, ...]) -> Iterator[Finding]:
    """Report what a worker does not start with, in its words; then other faults of the topics."""
    unsafe = set[tuple[str, str]]()
    for refusal in ground.refusals():
        if isinstance(refusal, UnsafeTopics):
            unsafe = {(fault.topic, fault.option) for fault in refusal.faults}
            remedy = what_and_remedy(refusal)[1]
            yield from (Finding(Level.FAILED, f"topic {fault}", remedy) for fault in refusal.faults)
        elif not isinstance(refusal, TopicsMissing | WrongPartitionCounts):  # reported topic by topic
            yield _failed(refusal)
    yield from _check_configuration(settings, differences_of(specs, ground.configs), unsafe)


def _check_configuration(
    settings: Settings, differences: Differences | None, unsafe: Container[tuple[str, str]]
) -> Iterator[Finding]:
    for topic, name, found, wanted in differences.found if differences is not None else ():
        if (topic, name) not in unsafe:
            text = f"topic {topic}: {name} is {found}, should be {wanted}; records may be lost"
            yield Finding(
                Level.WARNING,
                text,
                f"`kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {name}={wanted}`",
            )
    if differences is not None:
        if differences.denied:
            yield Finding(
                Level.WARNING, f"{', '.join(differences.denied)}: DescribeConfigs is denied: {NOT_CHECKED}", GRANT
            )
        elif not differences.found and not unsafe:
            yield Finding(Level.OK, "the topics are configured as they should be")
        return
    yield Finding(Level.OK, "configuration of the topics: not supported by this broker, not compared")
    if settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE:
        text = "this broker has no controller, like the embedded one, which takes transactions without honouring them"
        yield Finding(
            Level.WARNING, text, f"set {env_name('processing_guarantee')}=at_least_once, or use another broker"
        )


def _check_catalog(settings: Settings, environ: Environment) -> Iterator[Finding]:
    state = read_state(settings, (Topic.FLOWS, Topic.AUDIENCES))
    flows = [*(kept.item for kept in state.flows.values()), *(stored.flow for stored in state.leaving.values())]
    for fault in state.unreadable.values():
        yield Finding(Level.FAILED, fault, _APPLY)
    for flow in flows:
        yield from (
            Finding(Level.WARNING, f"flow {flow.id}: {fault}; it goes on as it did", _APPLY)
            for fault in flow.path_faults
        )
    if flows:
        yield Finding(
            Level.OK,
            f"{len(flows)} flow{'s' if len(flows) > 1 else ''}"
            f" and {len(state.audiences)} described audiences can be read",
        )
    else:
        yield Finding(
            Level.WARNING,
            "there are no flows: nothing will be sent",
            "put some into force with `profile-exporter apply FILE`",
        )
    yield from check_references(flows, environ)
    for examined in examine_flows(flows, environ, secrets_of(settings), endpoint_rules(settings.endpoint_hosts)):
        yield from summarize(examined)
