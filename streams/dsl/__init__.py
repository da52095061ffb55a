"""What a user writes: StreamsBuilder, KStream, KTable and the grouped and windowed steps between them."""
