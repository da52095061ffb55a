package odradek;

/** The requests we send, each in one version. */
enum Api {
    PRODUCE(0, 7), FETCH(1, 4), LIST_OFFSETS(2, 1), METADATA(3, 4), INIT_PRODUCER_ID(22, 0);

    final int key;
    final int version;

    Api(int key, int version) {
        this.key = key;
        this.version = version;
    }
}
