package odradek;

import java.util.Set;

/** A broker's refusal, by Kafka's number; -1: the connection ended, and whether the request was carried out is open. */
public final class KafkaException extends RuntimeException {
    private static final long serialVersionUID = 1;
    static final int DISCONNECTED = -1;
    private static final Set<Integer> RETRIABLE =
            Set.of(DISCONNECTED, 2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 56, 74, 75, 76, 78, 100);

    public final int code;

    KafkaException(int code, String doing) {
        super(doing + ": " + (code == DISCONNECTED ? "disconnected" : "error " + code));
        this.code = code;
    }

    public boolean isRetriable() {
        return RETRIABLE.contains(code);
    }

    static void check(int code, String doing) {
        if (code != 0) {
            throw new KafkaException(code, doing);
        }
    }
}
