"""What `check` looks at, one thing after the other: the environment, the broker, the topics, the catalog, each destination."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from processor.cli.destinations import examine_flows, summary
from processor.cli.tell import Finding, Level
from processor.delivery.endpoints import endpoint_rules
from processor.errors import CommandError, UsageError
from processor.kafka.admin import Admin, wrong_counts
from processor.kafka.catalog_records import BadCatalogRecord, is_job_key, read_audience, read_flow
from processor.kafka.errors import WrongPartitionCounts
from processor.kafka.reading import read_compacted
from processor.kafka.rights import GRANT, NOT_CHECKED
from processor.kafka.topics import TopicSpec, topic_specs
from processor.secrets import secrets_of
from processor.settings import ENV_PREFIX, ProcessingGuarantee, Settings, env_name
from schemas.flow import Flow

_APPLY = "put it into force again with `profile-exporter apply FILE`"


def check_names(environ: Iterable[str]) -> Iterator[Finding]:
    """Variables with our prefix that are no settings: a typing error would go unnoticed."""
    known = [env_name(field) for field in Settings.model_fields]
    for name in sorted(environ):
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            near = get_close_matches(name.upper(), known, n=1)
            yield Finding(Level.WARNING, f"{name} is set, but there is no such setting", f"did you mean {near[0]}?" if near else "remove it")


def check_kafka(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Broker, topics, catalog and destinations; each needs the one before. Raises UsageError."""
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
        yield from _check_configuration(settings, admin, specs)
        _require_alone(settings)
        if {settings.topics.flows, settings.topics.audiences} <= counts.keys():
            yield from _check_catalog(settings, environ)
    except CommandError as error:
        yield _failed(error)


def _failed(error: CommandError) -> Finding:
    text, _, remedy = str(error).partition("\n")
    return Finding(Level.FAILED, text, remedy.strip())


def _require_alone(settings: Settings) -> None:
    from processor.kafka.neighbours import require_alone  # noqa: PLC0415  # structlog comes with it: not before Kafka was asked

    require_alone(settings)


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
            yield Finding(Level.OK, f"topic {spec.name}: {spec.partitions} partition{'s' if spec.partitions > 1 else ''}")


def _check_configuration(settings: Settings, admin: Admin, specs: tuple[TopicSpec, ...]) -> Iterator[Finding]:
    differences = admin.differences(specs)
    for topic, name, found, wanted in differences.found if differences is not None else ():
        text = f"topic {topic}: {name} is {found}, should be {wanted}; records may be lost"
        yield Finding(Level.WARNING, text, f"`kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {name}={wanted}`")
    if differences is not None:
        if differences.denied:
            yield Finding(Level.WARNING, f"{', '.join(differences.denied)}: DescribeConfigs is denied: {NOT_CHECKED}", GRANT)
        elif not differences.found:
            yield Finding(Level.OK, "the topics are configured as they should be")
        return
    yield Finding(Level.OK, "configuration of the topics: not supported by this broker, not compared")
    if settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE:
        text = "this broker has no controller, like the embedded one, which takes transactions without honouring them"
        yield Finding(Level.WARNING, text, f"set {env_name('processing_guarantee')}=at_least_once, or use another broker")


def _check_catalog(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    flows: list[Flow] = []
    for key, value in read_compacted(settings, settings.topics.flows).items():
        if is_job_key(key):
            continue
        try:
            flows.append(read_flow(key, value).flow)
        except BadCatalogRecord as bad:
            yield Finding(Level.FAILED, str(bad), _APPLY)
    audiences = read_compacted(settings, settings.topics.audiences)
    for key, value in audiences.items():
        try:
            read_audience(key, value)
        except BadCatalogRecord as bad:
            yield Finding(Level.FAILED, str(bad), _APPLY)
    if flows:
        yield Finding(Level.OK, f"{len(flows)} flow{'s' if len(flows) > 1 else ''} and {len(audiences)} described audiences can be read")
    else:
        yield Finding(Level.WARNING, "there are no flows: nothing will be sent", "put some into force with `profile-exporter apply FILE`")
    for examined in examine_flows(flows, environ, secrets_of(settings), endpoint_rules(settings)):
        yield from summary(examined)
