package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/notaryproject/notation-go/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// artifact is the thing to sign or verify: its repository, and its reference by digest.
type artifact struct {
	repository registry.Repository
	reference  string
}

// parseArtifact reads flags that end in one REFERENCE, opens its repository with docker's credentials and resolves it.
func parseArtifact(ctx context.Context, flags *flag.FlagSet, args []string) (artifact, error) {
	insecure := flags.Bool("insecure-registry", false, "speak HTTP instead of HTTPS")
	if err := flags.Parse(args); err != nil {
		return artifact{}, err
	}
	if flags.NArg() != 1 {
		return artifact{}, fmt.Errorf("%s takes one REFERENCE", flags.Name())
	}
	repo, err := remote.NewRepository(flags.Arg(0))
	if err != nil {
		return artifact{}, err
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return artifact{}, err
	}
	repo.Client = &auth.Client{
		Client:     retry.DefaultClient,
		Cache:      auth.NewCache(),
		Credential: credentials.Credential(store),
	}
	repo.PlainHTTP = *insecure
	desc, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return artifact{}, err
	}
	reference := fmt.Sprintf("%s/%s@%s", repo.Reference.Registry, repo.Reference.Repository, desc.Digest)
	return artifact{registry.NewRepository(repo), reference}, nil
}
