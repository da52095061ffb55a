package odradek;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.zeromq.ZContext;

/**
 * Knows the brokers and who leads what; Producer and Consumer build on it. docs/zeromq_protocol.md says what goes over
 * the wire. For one thread, as ZeroMQ's sockets are. Left out: groups, transactions, compression other than gzip.
 */
abstract class Client implements AutoCloseable {
    private static final long PATIENCE_MS = 60_000;

    private final ZContext context = new ZContext();
    private final List<String> endpoints;
    private final Map<String, Connection> connections = new HashMap<>();
    private final Map<Integer, String> brokers = new HashMap<>();
    private final Map<String, TreeMap<Integer, Integer>> leaders = new HashMap<>();

    private final Curve curve;

    /** `curve` is null for plain connections. */
    Client(Curve curve, String... endpoints) {
        this.curve = curve;
        this.endpoints = Arrays.asList(endpoints);
    }

    /** Partition numbers of a topic; waits until it is there. */
    List<Integer> partitions(String topic) {
        for (int attempt = 0; !leaders.containsKey(topic) || leaders.get(topic).isEmpty(); attempt++) {
            if (attempt == 50) {
                throw new IllegalArgumentException(topic + " does not exist");
            }
            refresh(topic);
            pause(20);
        }
        return new ArrayList<>(leaders.get(topic).keySet());
    }

    ByteBuffer anyone(Api api, byte[] body) {
        Set<String> all = new LinkedHashSet<>(brokers.values());
        all.addAll(endpoints);
        KafkaException failure = null;
        for (String endpoint : all) {
            try {
                return at(endpoint).request(api, body);
            } catch (KafkaException error) {
                failure = error;
            }
        }
        throw failure;
    }

    /** Ask the leader, again and again with fresh metadata, while that may help. */
    <T> T askLeader(String topic, int partition, Api api, byte[] body, Function<ByteBuffer, T> read) {
        partitions(topic);
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (true) {
            try {
                String endpoint = brokers.get(leaders.get(topic).get(partition));
                if (endpoint == null) {
                    throw new KafkaException(5, topic + "-" + partition);
                }
                return read.apply(at(endpoint).request(api, body));
            } catch (KafkaException error) {
                if (!error.isRetriable() || System.currentTimeMillis() > deadline) {
                    throw error;
                }
                pause(50);
                try {
                    refresh(topic);
                } catch (KafkaException later) {
                    continue;
                }
            }
        }
    }

    @Override
    public void close() {
        connections.values().forEach(Connection::close);
        context.close();
    }

    private Connection at(String endpoint) {
        return connections.compute(
                endpoint, (key, old) -> old == null || old.isClosed ? new Connection(context, key, curve) : old);
    }

    private void refresh(String topic) {
        ByteBuffer in = anyone(Api.METADATA, new Wire().int32(1).string(topic).int8(1).done());
        in.getInt();
        brokers.clear();
        for (int left = in.getInt(); left > 0; left--) {
            int id = in.getInt();
            String host = Wire.string(in);
            int port = in.getInt();
            Wire.string(in);
            brokers.put(id, port == 0 ? host : "tcp://" + host + ":" + port);
        }
        Wire.string(in);
        in.getInt();
        for (int topics = in.getInt(); topics > 0; topics--) {
            int code = in.getShort();
            String name = Wire.string(in);
            in.get();
            TreeMap<Integer, Integer> found = new TreeMap<>();
            for (int left = in.getInt(); left > 0; left--) {
                in.getShort();
                found.put(in.getInt(), in.getInt());
                skipInts(in); // replicas
                skipInts(in); // those in sync
            }
            if (code == 0) {
                leaders.put(name, found);
            }
        }
    }

    private static void skipInts(ByteBuffer in) {
        int count = in.getInt();
        in.position(in.position() + 4 * count);
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(interrupted);
        }
    }
}
