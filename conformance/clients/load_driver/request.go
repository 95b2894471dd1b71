package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// request: load-driver request [flags] HOST:PORT FILE. FILE lists paths, one a line.
func request(_ context.Context, args []string) (*result, error) {
	flags := flag.NewFlagSet("request", flag.ContinueOnError)
	method := flags.String("method", "GET", "method of all requests")
	connections := flags.Int("connections", 1, "connections at once, each kept open")
	seconds := flags.Float64("seconds", 5, "how long, going round the paths")
	once := flags.Bool("once", false, "each path once instead, however long it takes")
	accept := flags.String("accept", "*/*", "value of Accept")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 2 {
		return nil, errors.New("request: HOST:PORT and a file of paths are needed")
	}
	host := flags.Arg(0)
	text, err := os.ReadFile(flags.Arg(1))
	if err != nil {
		return nil, err
	}
	paths := strings.Fields(string(text))
	if len(paths) == 0 {
		return nil, errors.New("request: the file has no paths")
	}
	clients := make([]*client, *connections)
	for n := range clients {
		clients[n] = &client{host: host, method: *method, accept: *accept}
	}
	count, limit := 0, time.Duration(*seconds*float64(time.Second))
	if *once {
		count, limit = len(paths), 0
	}
	return inParallel(*connections, count, limit, func(worker, n int) error {
		return clients[worker].do(paths[n%len(paths)])
	}), nil
}

// client is one connection. It does less than net/http's, so that what is measured is the server.
type client struct {
	host, method, accept string
	connection           net.Conn
	reader               *bufio.Reader
	out                  bytes.Buffer
}

// do sends a request without a body, reads the whole answer, and fails unless that is a 2xx.
func (c *client) do(path string) error {
	if c.connection == nil {
		connection, err := net.Dial("tcp", c.host)
		if err != nil {
			return err
		}
		c.connection, c.reader = connection, bufio.NewReaderSize(connection, 64<<10)
	}
	err := c.exchange(path)
	var status *statusError
	if err != nil && !errors.As(err, &status) {
		c.connection.Close()
		c.connection = nil
	}
	return err
}

func (c *client) exchange(path string) error {
	c.out.Reset()
	fmt.Fprintf(&c.out, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n\r\n", c.method, path, c.host, c.accept)
	if _, err := c.connection.Write(c.out.Bytes()); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.reader, &http.Request{Method: c.method})
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.Close {
		c.connection.Close()
		c.connection = nil
	}
	if answer.StatusCode/100 != 2 {
		return &statusError{c.method + " " + path + ": " + answer.Status}
	}
	return nil
}

// statusError is an answer that leaves the connection as good as it was.
type statusError struct{ text string }

func (e *statusError) Error() string { return e.text }
