package main

import (
	"context"
	"flag"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/file"
)

// pull: oras pull [flags] REFERENCE. Files go where their titles say; what has no title is left out.
func pull(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("pull", flag.ContinueOnError)
	options.register(flags)
	output := flags.String("output", ".", "folder to write to")
	concurrency := flags.Int("concurrency", 5, "blobs under way at once")
	traversal := flags.Bool("allow-path-traversal", false, "let titles lead out of the output folder")
	keep := flags.Bool("keep-old-files", false, "fail rather than replace a file")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	store, err := file.New(*output)
	if err != nil {
		return err
	}
	defer store.Close()
	store.AllowPathTraversalOnWrite = *traversal
	store.DisableOverwrite = *keep
	store.IgnoreNoName = true
	root, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return err
	}
	// CopyGraph and not Copy: a store that drops unnamed content has no manifest to tag.
	if err := oras.CopyGraph(ctx, repo, store, root, graphOptions(*concurrency)); err != nil {
		return err
	}
	return printJSON(describe(repo, root))
}
