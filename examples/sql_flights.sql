-- Delays per carrier and hour of the 2013 flights from New York, in event time: hours are those of the flights.
--
--   python examples/sql_flights.py            sends the flights, kills a broker, proves the counts
--   odradek sql -f examples/sql_flights.sql   on a cluster of yours; then write to the topics flights and airlines

CREATE STREAM flights (
  carrier STRING KEY, number INT, tail STRING, origin STRING, destination STRING, delay INT
) WITH (kafka_topic='flights', value_format='JSON', partitions=3);

CREATE TABLE airlines (carrier STRING PRIMARY KEY, name STRING)
  WITH (kafka_topic='airlines', value_format='JSON', partitions=3);

CREATE STREAM departures AS
  SELECT f.carrier, a.name AS airline, origin, destination, delay
  FROM flights f LEFT JOIN airlines a ON f.carrier = a.carrier;

-- Cancelled flights have no delay, and come at the end of their day.
CREATE TABLE delays AS
  SELECT carrier,
         LATEST_BY_OFFSET(airline) AS airline,
         COUNT(*) AS flights,
         COUNT(*) - COUNT(delay) AS cancelled,
         SUM(GREATEST(delay, 0)) AS minutes,
         MAX(delay) AS worst
  FROM departures WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 2 DAYS)
  GROUP BY carrier;
