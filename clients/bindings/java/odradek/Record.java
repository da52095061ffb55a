package odradek;

import java.util.LinkedHashMap;
import java.util.Map;

/** A record as it comes back. A null value is a tombstone. */
public record Record(
        String topic, int partition, long offset, long timestamp, byte[] key, byte[] value, Map<String, byte[]> headers) {

    /** A record to be sent, with a time and a place that come later. */
    public static Record of(String topic, byte[] key, byte[] value) {
        return new Record(topic, -1, -1, System.currentTimeMillis(), key, value, new LinkedHashMap<>());
    }

    public Record withHeader(String name, byte[] content) {
        Map<String, byte[]> more = new LinkedHashMap<>(headers);
        more.put(name, content);
        return new Record(topic, partition, offset, timestamp, key, value, more);
    }
}
