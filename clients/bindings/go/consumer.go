package odradek

import "context"

// Where a consumer begins; any other number is a time in milliseconds.
const (
	Latest   int64 = -1
	Earliest int64 = -2
)

const (
	maxWaitMs = 500
	maxBytes  = 1 << 20
)

// Consumer reads all partitions of a topic; one fetch for each is under way ahead of Poll.
type Consumer struct {
	client  *Client
	fetched chan fetched
	cancel  context.CancelFunc
}

type fetched struct {
	records []*Record
	err     error
}

// Consumer begins at Earliest, at Latest, or at a time.
func (c *Client) Consumer(ctx context.Context, topic string, from int64) (*Consumer, error) {
	partitions, err := c.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	consumer := &Consumer{client: c, fetched: make(chan fetched), cancel: cancel}
	for _, partition := range partitions {
		position, err := c.Offset(ctx, topic, partition, from)
		if err != nil {
			cancel()
			return nil, err
		}
		go consumer.read(ctx, topic, partition, position)
	}
	return consumer, nil
}

// Offset of the first record at or after a time; of the end for Latest, of the beginning for Earliest.
func (c *Client) Offset(ctx context.Context, topic string, partition int32, at int64) (offset int64, err error) {
	w := &writer{}
	w.int32(-1)
	onePartition(w, topic, partition)
	w.int64(at)
	err = c.askLeader(ctx, topic, partition, listOffsets, w.b, func(r *reader) error {
		r.int32()
		r.string()
		r.take(8)
		code := r.int16()
		r.int64()
		offset = r.int64()
		return check(code)
	})
	return offset, err
}

// Poll waits for the next records; they are of one partition.
func (c *Consumer) Poll(ctx context.Context) ([]*Record, error) {
	select {
	case next := <-c.fetched:
		return next.records, next.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the fetches.
func (c *Consumer) Close() { c.cancel() }

func (c *Consumer) read(ctx context.Context, topic string, partition int32, position int64) {
	for {
		var next fetched
		next.records, position, next.err = c.fetch(ctx, topic, partition, position)
		if len(next.records) == 0 && next.err == nil {
			continue
		}
		select {
		case c.fetched <- next:
		case <-ctx.Done():
			return
		}
		if next.err != nil {
			return
		}
	}
}

func (c *Consumer) fetch(
	ctx context.Context, topic string, partition int32, position int64,
) (records []*Record, next int64, err error) {
	w := &writer{}
	w.int32(-1)
	w.int32(maxWaitMs)
	w.int32(1)
	w.int32(maxBytes)
	w.int8(0)
	onePartition(w, topic, partition)
	w.int64(position)
	w.int32(maxBytes)
	next = position
	err = c.client.askLeader(ctx, topic, partition, fetch, w.b, func(r *reader) error {
		r.int32()
		r.int32()
		r.string()
		r.take(8)
		code := r.int16()
		r.take(16)
		r.array(func() { r.take(16) })
		data := r.bytes()
		if err := check(code); err != nil {
			return err
		}
		var broken error
		records, next, broken = decodeBatches(topic, partition, data, position)
		return broken
	})
	return records, next, err
}
