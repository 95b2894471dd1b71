package main

import (
	"context"
	"flag"
	"fmt"

	"oras.land/oras-go/v2/registry/remote"
)

// repoTags: oras repo tags [flags] NAME, one a line.
func repoTags(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("repo tags", flag.ContinueOnError)
	options.register(flags)
	last := flags.String("last", "", "start after this tag")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.repository(flags.Arg(0))
	if err != nil {
		return err
	}
	return repo.Tags(ctx, *last, printLines)
}

// repoList: oras repo ls [flags] HOST, one a line.
func repoList(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("repo ls", flag.ContinueOnError)
	options.register(flags)
	last := flags.String("last", "", "start after this repository")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	registry, err := remote.NewRegistry(flags.Arg(0))
	if err != nil {
		return err
	}
	if registry.Client, err = client(); err != nil {
		return err
	}
	registry.PlainHTTP = options.plainHTTP
	return registry.Repositories(ctx, *last, printLines)
}

func printLines(lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Println(line); err != nil {
			return err
		}
	}
	return nil
}
