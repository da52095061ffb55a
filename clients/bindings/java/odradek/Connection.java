package odradek;

import java.nio.ByteBuffer;
import org.zeromq.SocketType;
import org.zeromq.ZContext;
import org.zeromq.ZMQ;
import org.zeromq.ZMsg;

/** One DEALER, one request at a time; whoever wants more under way has more connections. Not thread-safe. */
final class Connection implements AutoCloseable {
    private static final int TIMEOUT_MS = 8_000;

    /** JeroMQ 0.6.0 gets stuck in one greeting out of thirty; it tries anew when that took too long. */
    private static final int HANDSHAKE_MS = 1_000;

    boolean isClosed;
    private final ZMQ.Socket socket;
    private final String endpoint;
    private int correlation;

    Connection(ZContext context, String endpoint, Curve curve) {
        this.endpoint = endpoint;
        socket = context.createSocket(SocketType.DEALER);
        socket.setLinger(0);
        socket.setReceiveTimeOut(TIMEOUT_MS);
        socket.setSendTimeOut(TIMEOUT_MS);
        socket.setHandshakeIvl(HANDSHAKE_MS);
        if (curve != null) {
            curve.arm(socket);
        }
        socket.connect(endpoint);
    }

    ByteBuffer request(Api api, byte[] body) {
        correlation = (correlation + 1) & Integer.MAX_VALUE;
        byte[] frame = new Wire().int16(api.key).int16(api.version).int32(correlation).string("odradek-java").raw(body)
                .done();
        ZMsg parts = socket.send(frame) ? ZMsg.recvMsg(socket) : null;
        if (parts == null) {
            throw gone("no answer in time");
        }
        Wire whole = new Wire();
        parts.forEach(part -> whole.raw(part.getData()));
        ByteBuffer answer = ByteBuffer.wrap(whole.done());
        if (!answer.hasRemaining()) {
            throw gone("the broker closed the connection");
        }
        if (answer.getInt() != correlation) {
            throw gone("answers out of order");
        }
        return answer;
    }

    private KafkaException gone(String why) {
        close();
        return new KafkaException(KafkaException.DISCONNECTED, endpoint + ": " + why);
    }

    @Override
    public void close() {
        if (!isClosed) {
            isClosed = true;
            socket.close();
        }
    }
}
