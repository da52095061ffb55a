package odradek;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import java.util.zip.GZIPInputStream;

/** Record batches of format 2. */
final class Batches {
    /** The records at or above an offset, and the offset after everything that came whole. */
    record Decoded(List<Record> records, long next) {}

    private static final int HEADER_TO_CRC = 21;

    private Batches() {}

    static byte[] encode(List<Record> records, long producerId, short epoch, int sequence) {
        long first = records.get(0).timestamp();
        long last = records.stream().mapToLong(Record::timestamp).max().orElse(first);
        Wire tail = new Wire().int16(0).int32(records.size() - 1).int64(first).int64(last)
                .int64(producerId).int16(epoch).int32(sequence).int32(records.size());
        int index = 0;
        for (Record record : records) {
            Wire each = new Wire().int8(0).varint(record.timestamp() - first).varint(index++)
                    .varbytes(record.key()).varbytes(record.value()).varint(record.headers().size());
            record.headers().forEach(
                    (name, content) -> each.varbytes(name.getBytes(StandardCharsets.UTF_8)).varbytes(content));
            tail.varbytes(each.done());
        }
        byte[] rest = tail.done();
        return new Wire().int64(0).int32(rest.length + 9).int32(-1).int8(2).int32((int) crc(rest, 0, rest.length))
                .raw(rest).done();
    }

    static Decoded decode(String topic, int partition, byte[] data, long from) {
        List<Record> found = new ArrayList<>();
        long next = from;
        ByteBuffer all = ByteBuffer.wrap(data);
        while (all.remaining() >= 12) {
            int start = all.position();
            int size = all.getInt(start + 8) + 12;
            if (size > all.remaining()) {
                break; // cut off by max_bytes: it comes whole next time
            }
            ByteBuffer in = all.slice(start, size);
            all.position(start + size);
            long base = in.getLong();
            in.getLong();
            if (in.get() != 2) {
                throw new IllegalStateException("only record batches of format 2 are known");
            }
            if (in.getInt() != (int) crc(data, start + HEADER_TO_CRC, size - HEADER_TO_CRC)) {
                throw new IllegalStateException("a batch is corrupt");
            }
            int attributes = in.getShort();
            next = base + in.getInt() + 1;
            long firstTimestamp = in.getLong();
            in.position(in.position() + 8 + 8 + 2 + 4);
            int count = in.getInt();
            if ((attributes & 0x20) != 0) {
                continue; // a transaction's marker
            }
            ByteBuffer records = unpack(in, attributes & 7);
            for (; count > 0; count--) {
                Wire.varint(records);
                records.get();
                long timestamp = firstTimestamp + Wire.varint(records);
                long offset = base + Wire.varint(records);
                byte[] key = Wire.varbytes(records);
                byte[] value = Wire.varbytes(records);
                Map<String, byte[]> headers = new LinkedHashMap<>();
                for (long left = Wire.varint(records); left > 0; left--) {
                    headers.put(new String(Wire.varbytes(records), StandardCharsets.UTF_8), Wire.varbytes(records));
                }
                if (offset >= from) {
                    found.add(new Record(topic, partition, offset, timestamp, key, value, headers));
                }
            }
        }
        return new Decoded(found, next);
    }

    private static ByteBuffer unpack(ByteBuffer in, int codec) {
        if (codec == 0) {
            return in;
        }
        if (codec != 1) {
            throw new IllegalStateException("only gzip is known of the codecs");
        }
        try (GZIPInputStream unpacked = new GZIPInputStream(new ByteArrayInputStream(Wire.take(in, in.remaining())))) {
            return ByteBuffer.wrap(unpacked.readAllBytes());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static long crc(byte[] data, int start, int size) {
        CRC32C crc = new CRC32C();
        crc.update(data, start, size);
        return crc.getValue();
    }
}
