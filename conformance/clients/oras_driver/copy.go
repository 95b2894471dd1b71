package main

import (
	"context"
	"errors"
	"flag"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
)

// side is one end of a copy: a repository or an image layout.
type side struct {
	target    oras.GraphTarget
	reference string
	repo      *remote.Repository // nil for a layout
}

func open(reference string, isLayout, plainHTTP bool) (side, error) {
	if isLayout {
		store, name, err := layout(reference)
		return side{target: store, reference: name}, err
	}
	repo, err := (&remoteFlags{plainHTTP: plainHTTP}).repository(reference)
	if err != nil {
		return side{}, err
	}
	return side{target: repo, reference: repo.Reference.Reference, repo: repo}, nil
}

// copyArtifact: oras cp [flags] SOURCE TARGET: an artifact with all below it and, with -r, all that refers to it.
func copyArtifact(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cp", flag.ContinueOnError)
	recursive := flags.Bool("r", false, "copy referrers too")
	fromPlain := flags.Bool("from-plain-http", false, "speak HTTP to the source")
	toPlain := flags.Bool("to-plain-http", false, "speak HTTP to the target")
	fromLayout := flags.Bool("from-oci-layout", false, "the source is an image layout, PATH:TAG")
	toLayout := flags.Bool("to-oci-layout", false, "the target is an image layout, PATH:TAG")
	concurrency := flags.Int("concurrency", 3, "nodes under way at once")
	if err := parse(flags, args, 2); err != nil {
		return err
	}
	source, err := open(flags.Arg(0), *fromLayout, *fromPlain)
	if err != nil {
		return err
	}
	if source.reference == "" {
		return errors.New("the source needs a tag or a digest")
	}
	target, err := open(flags.Arg(1), *toLayout, *toPlain)
	if err != nil {
		return err
	}
	options := graphOptions(*concurrency)
	options.MountFrom = mountFrom(source.repo, target.repo)
	if *recursive {
		extended := oras.ExtendedCopyGraphOptions{CopyGraphOptions: options}
		_, err = oras.ExtendedCopy(ctx, source.target, source.reference, target.target, target.reference,
			oras.ExtendedCopyOptions{ExtendedCopyGraphOptions: extended})
		return err
	}
	_, err = oras.Copy(ctx, source.target, source.reference, target.target, target.reference,
		oras.CopyOptions{CopyGraphOptions: options})
	return err
}

// mountFrom offers the source repository for mounts when both ends are on the same registry.
func mountFrom(source, target *remote.Repository) func(context.Context, ocispec.Descriptor) ([]string, error) {
	if source == nil || target == nil || source.Reference.Registry != target.Reference.Registry {
		return nil
	}
	return func(context.Context, ocispec.Descriptor) ([]string, error) {
		return []string{source.Reference.Repository}, nil
	}
}
