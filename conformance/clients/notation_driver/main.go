// Command notation-driver drives the notation-go library from the command line, with the verbs and flags of the
// notation CLI.
//
// The notation CLI cannot be installed with "go install", so the walk uses this program where that CLI is absent. Keys,
// trust store and trust policy are in $XDG_CONFIG_HOME/notation, in the library's own layout, so either can continue
// with the other's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// command is one verb: it reads its own flags from args and does its work.
type command func(ctx context.Context, args []string) error

var commands = map[string]command{
	"cert generate-test": certGenerateTest,
	"sign":               sign,
	"verify":             verify,
	"ls":                 list,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// dispatch finds the longest verb that args start with and runs it on the rest.
func dispatch(ctx context.Context, args []string) error {
	for words := min(2, len(args)); words > 0; words-- {
		if run, known := commands[strings.Join(args[:words], " ")]; known {
			return run(ctx, args[words:])
		}
	}
	return errors.New("usage: notation-driver cert generate-test|sign|verify|ls [flags] NAME or REFERENCE")
}
