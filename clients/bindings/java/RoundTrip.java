import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import odradek.Consumer;
import odradek.Curve;
import odradek.Producer;
import odradek.Record;

/** usage: RoundTrip ENDPOINT TOPIC [SERVER_KEY] ; prints "ok 1000" when each record came back once, in its key's order. */
public final class RoundTrip {
    private static final int RECORDS = 1000;

    public static void main(String[] arguments) {
        String endpoint = arguments[0];
        String topic = arguments[1];
        Curve curve = arguments.length > 2 ? Curve.to(arguments[2]) : null;
        try (Producer producer = new Producer(curve, endpoint)) {
            for (int n = 0; n < RECORDS; n++) {
                producer.send(Record.of(topic, bytes("key-" + n % 10), bytes("" + n)).withHeader("from", bytes("java")));
            }
        }
        Map<String, Integer> last = new HashMap<>();
        int seen = 0;
        try (Consumer consumer = new Consumer(curve, topic, Consumer.EARLIEST, endpoint)) {
            while (seen < RECORDS) {
                for (Record record : consumer.poll()) {
                    int number = Integer.parseInt(text(record.value()));
                    int before = last.getOrDefault(text(record.key()), -1);
                    if (number <= before || !text(record.headers().get("from")).equals("java")) {
                        throw new IllegalStateException(text(record.key()) + ": " + number + " after " + before);
                    }
                    last.put(text(record.key()), number);
                    seen++;
                }
            }
        }
        System.out.println("ok " + seen);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
