import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Java's producer with its default partitioner, for tests/kit/java_producer.py.
 *
 * Arguments: bootstrap servers, topic. Each line of stdin is a record: key and value as hexadecimal digits, parted by a blank.
 */
public class KeyedRecords {
    public static void main(String[] arguments) throws Exception {
        HexFormat hex = HexFormat.of();
        Map<String, Object> properties = Map.of("bootstrap.servers", arguments[0], "linger.ms", "5");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
                var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] record = line.split(" ");
                sent.add(producer.send(new ProducerRecord<>(arguments[1], hex.parseHex(record[0]), hex.parseHex(record[1]))));
            }
            for (Future<RecordMetadata> each : sent) {
                each.get();
            }
        }
    }
}
