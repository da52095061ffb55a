-- The word count of every Kafka lecture.
--
--   odradek sql -f examples/sql_word_count.sql

CREATE STREAM lines (line STRING) WITH (kafka_topic='lines', value_format='KAFKA', partitions=3);

CREATE STREAM words AS
  SELECT EXPLODE(REGEXP_SPLIT_TO_ARRAY(LCASE(line), '\W+')) AS word FROM lines;

CREATE TABLE counts AS
  SELECT word, COUNT(*) AS n FROM words WHERE word <> '' GROUP BY word;

INSERT INTO lines VALUES ('A'), ('A'), ('B'), ('C'), ('B'), ('A'), ('A'), ('D'), ('C');

SELECT word, n FROM counts EMIT CHANGES LIMIT 9;
