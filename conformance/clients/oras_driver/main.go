// Command oras-driver drives the oras-go library from the command line, with the verbs and flags of the oras CLI.
//
// The oras CLI cannot be installed with "go install", so the walk uses this program where that CLI is absent. What a
// registry sees is decided by the library, which both share. Results are printed as JSON, as "--format json" has them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// command is one verb: it reads its own flags from args and does its work.
type command func(ctx context.Context, args []string) error

var commands = map[string]command{
	"push":            push,
	"pull":            pull,
	"attach":          attach,
	"discover":        discover,
	"cp":              copyArtifact,
	"tag":             tag,
	"resolve":         resolve,
	"manifest fetch":  manifestFetch,
	"manifest push":   manifestPush,
	"manifest delete": manifestDelete,
	"blob fetch":      blobFetch,
	"blob push":       blobPush,
	"blob delete":     blobDelete,
	"repo ls":         repoList,
	"repo tags":       repoTags,
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
	return errors.New("usage: oras-driver push|pull|attach|discover|cp|tag|resolve|manifest|blob|repo [flags] REFERENCE …")
}

// annotations collects repeated "--annotation key=value" flags.
type annotations map[string]string

func (a annotations) String() string { return "" }

func (a annotations) Set(pair string) error {
	key, value, found := strings.Cut(pair, "=")
	if !found {
		return fmt.Errorf("annotation %q is not of the form key=value", pair)
	}
	a[key] = value
	return nil
}

// parse reads flags and checks that at least the needed number of arguments follow them.
func parse(flags *flag.FlagSet, args []string, needed int) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() < needed {
		return fmt.Errorf("%s: %d arguments needed, %d given", flags.Name(), needed, flags.NArg())
	}
	return nil
}
