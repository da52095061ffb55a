package odradek;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Idempotent: each record is written once, in the order of sending for each partition.
 *
 * <pre>{@code
 * try (var producer = new Producer("tcp://127.0.0.1:9192")) {
 *     producer.send(Record.of("orders", key, value));
 *     producer.flush();
 * }
 * }</pre>
 */
public final class Producer extends Client {
    private record Place(String topic, int partition) {}

    private static final int DUPLICATE_SEQUENCE = 46;
    private static final int MOST_WAITING = 1_000;

    private final long producerId;
    private final short epoch;
    private final Map<Place, List<Record>> waiting = new LinkedHashMap<>();
    private final Map<Place, Integer> sequences = new HashMap<>();
    private int count;
    private int round;

    public Producer(String... endpoints) {
        this(null, endpoints);
    }

    /** Encrypted, unless `curve` is null. */
    public Producer(Curve curve, String... endpoints) {
        super(curve, endpoints);
        ByteBuffer in = anyone(Api.INIT_PRODUCER_ID, new Wire().nullString().int32(60_000).done());
        in.getInt();
        KafkaException.check(in.getShort(), "InitProducerId");
        producerId = in.getLong();
        epoch = in.getShort();
    }

    /** Leaves with the next flush, which comes by itself when many wait. */
    public void send(Record record) {
        List<Integer> partitions = partitions(record.topic());
        int index = record.key() == null ? round++ : Wire.murmur2(record.key());
        int partition = partitions.get((index & Integer.MAX_VALUE) % partitions.size());
        waiting.computeIfAbsent(new Place(record.topic(), partition), place -> new ArrayList<>()).add(record);
        if (++count >= MOST_WAITING) {
            flush();
        }
    }

    /** Returns when all replicas in sync have everything. After an exception make a new producer. */
    public void flush() {
        waiting.forEach(this::sendBatch);
        waiting.clear();
        count = 0;
    }

    @Override
    public void close() {
        try {
            flush();
        } finally {
            super.close();
        }
    }

    private void sendBatch(Place place, List<Record> records) {
        int sequence = sequences.getOrDefault(place, 0);
        byte[] body = new Wire().nullString().int16(-1).int32(30_000).onePartition(place.topic, place.partition)
                .bytes(Batches.encode(records, producerId, epoch, sequence)).done();
        askLeader(place.topic, place.partition, Api.PRODUCE, body, in -> {
            in.getInt();
            Wire.string(in);
            in.getLong();
            int code = in.getShort();
            if (code != DUPLICATE_SEQUENCE) {
                KafkaException.check(code, "Produce " + place);
            }
            return in.getLong();
        });
        sequences.put(place, (sequence + records.size()) & Integer.MAX_VALUE);
    }
}
