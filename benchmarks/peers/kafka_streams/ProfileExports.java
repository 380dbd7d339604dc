import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The benchmark's job in Kafka Streams: profile events to profile state (RocksDB, changelog) and export records.
 *
 * <p>java … ProfileExports FILE.properties: the settings of Kafka Streams, and bench.events, bench.exports (topics),
 * bench.audiences (the mapped ones, in the namespace "ups", separated by commas). Says on stdout when restoring a partition
 * ends: {@code restored PARTITION ROWS BEGIN_MS END_MS}. The rules are those of benchmarks/peers/rules.py.
 */
public final class ProfileExports {
    private static final String STORE = "profiles";

    public static void main(String[] arguments) throws IOException {
        Properties settings = new Properties();
        try (Reader file = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(file);
        }
        List<String> mapped = List.of(settings.getProperty("bench.audiences").split(","));
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), Serdes.ByteArray())
                        .withCachingEnabled()
                        .withLoggingEnabled(Map.of("segment.bytes", "1073741824"))); // nothing is compacted while it is measured
        builder.stream(settings.getProperty("bench.events"), Consumed.with(Serdes.Bytes(), Serdes.ByteArray()))
                .process(() -> new Fold(mapped), STORE)
                .to(settings.getProperty("bench.exports"), Produced.with(Serdes.Bytes(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        streams.setGlobalStateRestoreListener(new Restoring());
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
    }

    /** One event: the profile before, the patch merged into it, and a record where a mapped thing changed. */
    private static final class Fold implements Processor<Bytes, byte[], Bytes, byte[]> {
        private static final ObjectMapper JSON = new ObjectMapper();
        private final List<String> mapped;
        private KeyValueStore<Bytes, byte[]> profiles;
        private ProcessorContext<Bytes, byte[]> context;
        private String lastTime = "";
        private String listedSince = "";

        Fold(List<String> mapped) {
            this.mapped = mapped;
        }

        @Override
        public void init(ProcessorContext<Bytes, byte[]> context) {
            this.context = context;
            profiles = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<Bytes, byte[]> event) {
            try {
                JsonNode envelope = JSON.readTree(event.value());
                byte[] row = profiles.get(event.key());
                ObjectNode profile = row == null ? JSON.createObjectNode() : (ObjectNode) JSON.readTree(row);
                Seen before = new Seen(profile, mapped);
                merge(profile, (ObjectNode) envelope.get("data"));
                profiles.put(event.key(), JSON.writeValueAsBytes(profile));
                Seen after = new Seen(profile, mapped);
                if (after.calls(before)) {
                    ObjectNode record = render(profile, before, after, envelope.get("time").textValue());
                    context.forward(event.withValue(JSON.writeValueAsBytes(record)));
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        /** JSON Merge Patch (RFC 7396), in place. */
        private static void merge(ObjectNode target, ObjectNode patch) {
            for (Map.Entry<String, JsonNode> field : patch.properties()) {
                JsonNode value = field.getValue();
                if (value.isNull()) {
                    target.remove(field.getKey());
                } else if (value instanceof ObjectNode inside) {
                    if (!(target.get(field.getKey()) instanceof ObjectNode)) {
                        target.putObject(field.getKey());
                    }
                    merge((ObjectNode) target.get(field.getKey()), inside);
                } else {
                    target.set(field.getKey(), value);
                }
            }
        }

        private ObjectNode render(ObjectNode profile, Seen before, Seen after, String time) {
            ObjectNode record = JSON.createObjectNode();
            if (!after.firstName.isMissingNode()) {
                record.putObject("person").putObject("name").set("firstName", after.firstName);
            }
            if (!after.address.isMissingNode()) {
                record.putObject("personalEmail").set("address", after.address);
            }
            ObjectNode listed = record.putObject("segmentMembership").putObject("ups");
            for (Map.Entry<String, JsonNode> entry : profile.path("segmentMembership").path("ups").properties()) {
                if (isListed(entry.getKey(), entry.getValue(), before, after, time)) {
                    listed.set(entry.getKey(), entry.getValue());
                }
            }
            ObjectNode identities = record.putObject("identityMap");
            for (Map.Entry<String, JsonNode> namespace : after.identities.properties()) {
                ArrayNode ids = identities.putArray(namespace.getKey());
                namespace.getValue().forEach(identity -> ids.addObject().set("id", identity.get("id")));
            }
            return record;
        }

        /** Every realized one; of those that the profile left, the mapped ones, for 30 days. */
        private boolean isListed(String audience, JsonNode entry, Seen before, Seen after, String time) {
            if (isRealized(entry)) {
                return true;
            }
            int place = mapped.indexOf(audience);
            return place >= 0
                    && (entry.get("lastQualificationTime").textValue().compareTo(listedSince(time)) >= 0
                            || before.realized[place] != after.realized[place]);
        }

        private String listedSince(String time) {
            if (!time.equals(lastTime)) {
                listedSince = Instant.parse(time).minus(30, ChronoUnit.DAYS).toString();
                lastTime = time;
            }
            return listedSince;
        }
    }

    private static boolean isRealized(JsonNode entry) {
        return "realized".equals(entry.path("status").textValue());
    }

    /** What decides of a profile: in which mapped audiences it is, the mapped attributes, its identities. */
    private static final class Seen {
        final boolean[] realized;
        final JsonNode firstName;
        final JsonNode address;
        final ObjectNode identities;

        Seen(ObjectNode profile, List<String> mapped) {
            JsonNode entries = profile.path("segmentMembership").path("ups");
            realized = new boolean[mapped.size()];
            for (int place = 0; place < realized.length; place++) {
                realized[place] = isRealized(entries.path(mapped.get(place)));
            }
            firstName = profile.path("person").path("name").path("firstName");
            address = profile.path("personalEmail").path("address");
            // a map of its own: the event is merged in place
            identities = JsonNodeFactory.instance.objectNode();
            profile.path("identityMap").properties().forEach(namespace -> identities.set(namespace.getKey(), namespace.getValue()));
        }

        /** Whether the change from `before` to this one calls for a record. */
        boolean calls(Seen before) {
            boolean isMember = false;
            for (int place = 0; place < realized.length; place++) {
                if (realized[place] != before.realized[place]) {
                    return true;
                }
                isMember |= realized[place];
            }
            return isMember && !(firstName.equals(before.firstName) && address.equals(before.address) && identities.equals(before.identities));
        }
    }

    /** Tells how long restoring a partition took. */
    private static final class Restoring implements StateRestoreListener {
        private final Map<Integer, Long> begun = new ConcurrentHashMap<>();

        @Override
        public void onRestoreStart(TopicPartition partition, String store, long startingOffset, long endingOffset) {
            begun.put(partition.partition(), System.currentTimeMillis());
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long batchEndOffset, long numRestored) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long totalRestored) {
            int number = partition.partition();
            System.out.printf("restored %d %d %d %d%n", number, totalRestored, begun.get(number), System.currentTimeMillis());
        }
    }
}
