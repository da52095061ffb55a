package odradek;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Kafka's primitive types, and its hash. Reading goes through ByteBuffer, which throws when a frame ends early. */
final class Wire {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Wire int8(int n) {
        out.write(n);
        return this;
    }

    Wire int16(int n) {
        return int8(n >> 8).int8(n);
    }

    Wire int32(int n) {
        return int16(n >> 16).int16(n);
    }

    Wire int64(long n) {
        return int32((int) (n >> 32)).int32((int) n);
    }

    Wire raw(byte[] bytes) {
        out.writeBytes(bytes);
        return this;
    }

    Wire nullString() {
        return int16(-1);
    }

    Wire string(String text) {
        byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
        return int16(encoded.length).raw(encoded);
    }

    Wire bytes(byte[] bytes) {
        return int32(bytes.length).raw(bytes);
    }

    Wire varint(long n) {
        long rest = (n << 1) ^ (n >> 63);
        for (; (rest & ~127L) != 0; rest >>>= 7) {
            int8((int) (rest & 127) | 128);
        }
        return int8((int) rest);
    }

    Wire varbytes(byte[] bytes) {
        return bytes == null ? varint(-1) : varint(bytes.length).raw(bytes);
    }

    /** The shape of most requests: one topic, one partition of it. */
    Wire onePartition(String topic, int partition) {
        return int32(1).string(topic).int32(1).int32(partition);
    }

    byte[] done() {
        return out.toByteArray();
    }

    static byte[] take(ByteBuffer in, int size) {
        if (size < 0) {
            return null;
        }
        if (size > in.remaining()) {
            throw new java.nio.BufferUnderflowException();
        }
        byte[] taken = new byte[size];
        in.get(taken);
        return taken;
    }

    static String string(ByteBuffer in) {
        byte[] encoded = take(in, in.getShort());
        return encoded == null ? null : new String(encoded, StandardCharsets.UTF_8);
    }

    static long varint(ByteBuffer in) {
        long found = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = in.get();
            found |= (long) (next & 127) << shift;
            if (next >= 0) {
                return (found >>> 1) ^ -(found & 1);
            }
        }
    }

    static byte[] varbytes(ByteBuffer in) {
        return take(in, (int) varint(in));
    }

    /** The hash by which Kafka's own producer chooses a key's partition. */
    static int murmur2(byte[] key) {
        final int m = 0x5bd1e995;
        int h = 0x9747b28c ^ key.length;
        ByteBuffer in = ByteBuffer.wrap(key).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        while (in.remaining() >= 4) {
            int k = in.getInt() * m;
            k = (k ^ (k >>> 24)) * m;
            h = h * m ^ k;
        }
        if (in.hasRemaining()) {
            for (int shift = 0; in.hasRemaining(); shift += 8) {
                h ^= (in.get() & 255) << shift;
            }
            h *= m;
        }
        h = (h ^ (h >>> 13)) * m;
        return h ^ (h >>> 15);
    }
}
