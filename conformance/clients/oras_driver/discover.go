package main

import (
	"context"
	"flag"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
)

// node is a manifest with those that refer to it.
type node struct {
	outcome
	Referrers []node `json:"referrers"`
}

// discover: oras discover [flags] REFERENCE: the tree of referrers.
func discover(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("discover", flag.ContinueOnError)
	options.register(flags)
	artifactType := flags.String("artifact-type", "", "only referrers of this type")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	subject, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return err
	}
	found := node{outcome: describe(repo, subject)}
	if found.Referrers, err = referrers(ctx, repo, subject, *artifactType); err != nil {
		return err
	}
	return printJSON(found)
}

// referrers reads the referrers of desc, and theirs in turn.
func referrers(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, artifactType string) ([]node, error) {
	found, err := registry.Referrers(ctx, repo, desc, artifactType)
	if err != nil {
		return nil, err
	}
	nodes := make([]node, 0, len(found))
	for _, referrer := range found {
		next := node{outcome: describe(repo, referrer)}
		if next.Referrers, err = referrers(ctx, repo, referrer, ""); err != nil {
			return nil, err
		}
		nodes = append(nodes, next)
	}
	return nodes, nil
}
