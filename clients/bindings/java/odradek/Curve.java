package odradek;

import org.zeromq.ZMQ;

/**
 * The keys of encrypted connections, Z85 text of 40 characters: the brokers' public one, and a pair of the client's own.
 */
public record Curve(String serverKey, String publicKey, String secretKey) {

    /** With a new pair, for brokers that let in everybody who knows their key. */
    public static Curve to(String serverKey) {
        ZMQ.Curve.KeyPair own = ZMQ.Curve.generateKeyPair();
        return new Curve(serverKey, own.publicKey, own.secretKey);
    }

    void arm(ZMQ.Socket socket) {
        socket.setCurveServerKey(ZMQ.Curve.z85Decode(serverKey));
        socket.setCurvePublicKey(ZMQ.Curve.z85Decode(publicKey));
        socket.setCurveSecretKey(ZMQ.Curve.z85Decode(secretKey));
    }
}
