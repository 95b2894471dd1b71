// Command load-driver puts a registry under load and measures it, where no known tool does: HEAD requests, each of
// many URLs once, manifests by the thousand, and artifacts pushed by the oras-go library. It prints one JSON object.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
)

var commands = map[string]func(ctx context.Context, args []string) (*result, error){
	"request":   request,
	"fill":      fill,
	"artifacts": artifacts,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New("usage: load-driver request|fill|artifacts [flags] HOST:PORT …")
	}
	found, err := commands[args[0]](ctx, args[1:])
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
