package odradek

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
)

const (
	produce        = 0
	fetch          = 1
	listOffsets    = 2
	metadata       = 3
	initProducerID = 22
)

var versions = map[int16]int16{produce: 7, fetch: 4, listOffsets: 1, metadata: 4, initProducerID: 0}

// ErrDisconnected: whether the request was carried out is open.
var ErrDisconnected = errors.New("odradek: disconnected")

type answer struct {
	r   *reader
	err error
}

type waiting struct {
	correlation int32
	answer      chan answer
}

// connection is one DEALER: requests out, answers back in the same order.
type connection struct {
	socket      zmq4.Socket
	clientID    string
	cancel      context.CancelFunc
	mutex       sync.Mutex
	pending     []waiting
	correlation int32
	isClosed    bool
}

func dial(endpoint, clientID string) (*connection, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &connection{socket: zmq4.NewDealer(ctx, zmq4.WithDialerMaxRetries(2)), clientID: clientID, cancel: cancel}
	if err := c.socket.Dial(endpoint); err != nil {
		cancel()
		return nil, fmt.Errorf("%w: %s: %v", ErrDisconnected, endpoint, err)
	}
	go c.receive()
	return c, nil
}

func (c *connection) request(ctx context.Context, key int16, body []byte) (*reader, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	c.mutex.Lock()
	if c.isClosed {
		c.mutex.Unlock()
		return nil, ErrDisconnected
	}
	c.correlation = (c.correlation + 1) & 0x7fffffff
	frame := &writer{}
	frame.int16(key)
	frame.int16(versions[key])
	frame.int32(c.correlation)
	frame.string(c.clientID)
	mine := waiting{c.correlation, make(chan answer, 1)}
	c.pending = append(c.pending, mine)
	err := c.socket.Send(zmq4.NewMsg(append(frame.b, body...)))
	c.mutex.Unlock()
	if err != nil {
		c.close()
		return nil, fmt.Errorf("%w: %v", ErrDisconnected, err)
	}
	select {
	case got := <-mine.answer:
		return got.r, got.err
	case <-ctx.Done():
		c.close() // answers come in order: those after it are late too
		return nil, fmt.Errorf("%w: no answer in time", ErrDisconnected)
	}
}

func (c *connection) receive() {
	defer c.close()
	for {
		message, err := c.socket.Recv()
		if err != nil {
			return
		}
		r := &reader{}
		for _, part := range message.Frames {
			r.b = append(r.b, part...)
		}
		if len(r.b) == 0 {
			return // the broker closed the connection
		}
		c.mutex.Lock()
		if len(c.pending) == 0 || c.pending[0].correlation != r.int32() {
			c.mutex.Unlock()
			return
		}
		head := c.pending[0]
		c.pending = c.pending[1:]
		c.mutex.Unlock()
		head.answer <- answer{r: r}
	}
}

func (c *connection) close() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.isClosed {
		return
	}
	c.isClosed = true
	c.cancel()
	go c.socket.Close()
	for _, each := range c.pending {
		each.answer <- answer{err: ErrDisconnected}
	}
	c.pending = nil
}
