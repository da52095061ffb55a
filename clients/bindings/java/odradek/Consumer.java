package odradek;

import java.util.List;
import java.util.TreeMap;

/**
 * Reads all partitions of a topic in turn, each in its order.
 *
 * <pre>{@code
 * try (var consumer = new Consumer("orders", Consumer.EARLIEST, "tcp://127.0.0.1:9192")) {
 *     for (Record record : consumer.poll()) { ... }
 * }
 * }</pre>
 */
public final class Consumer extends Client {
    public static final long LATEST = -1;
    public static final long EARLIEST = -2;
    private static final int MAX_BYTES = 1 << 20;
    private static final int MAX_WAIT_MS = 100;

    private final String topic;
    private final TreeMap<Integer, Long> positions = new TreeMap<>();
    private int last = -1;

    /** `from` is EARLIEST, LATEST, or a time in milliseconds. */
    public Consumer(String topic, long from, String... endpoints) {
        this(null, topic, from, endpoints);
    }

    /** Encrypted, unless `curve` is null. */
    public Consumer(Curve curve, String topic, long from, String... endpoints) {
        super(curve, endpoints);
        this.topic = topic;
        for (int partition : partitions(topic)) {
            positions.put(partition, offset(partition, from));
        }
    }

    /** The next records, of one partition; an empty list when it has none for now. */
    public List<Record> poll() {
        Integer next = positions.higherKey(last);
        int partition = last = next == null ? positions.firstKey() : next;
        long from = positions.get(partition);
        byte[] body = new Wire().int32(-1).int32(MAX_WAIT_MS).int32(1).int32(MAX_BYTES).int8(0)
                .onePartition(topic, partition).int64(from).int32(MAX_BYTES).done();
        Batches.Decoded decoded = askLeader(topic, partition, Api.FETCH, body, in -> {
            in.getInt();
            in.getInt();
            Wire.string(in);
            in.getLong();
            KafkaException.check(in.getShort(), "Fetch " + topic + "-" + partition);
            in.position(in.position() + 16);
            int aborted = Math.max(0, in.getInt());
            in.position(in.position() + 16 * aborted);
            byte[] data = Wire.take(in, in.getInt());
            return Batches.decode(topic, partition, data == null ? new byte[0] : data, from);
        });
        positions.put(partition, decoded.next());
        return decoded.records();
    }

    private long offset(int partition, long timestamp) {
        byte[] body = new Wire().int32(-1).onePartition(topic, partition).int64(timestamp).done();
        return askLeader(topic, partition, Api.LIST_OFFSETS, body, in -> {
            in.getInt();
            Wire.string(in);
            in.getLong();
            KafkaException.check(in.getShort(), "ListOffsets " + topic + "-" + partition);
            in.getLong();
            return in.getLong();
        });
    }
}
