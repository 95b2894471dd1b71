package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"

	"oras.land/oras-go/v2"
)

// remoteFlags are the flags of every verb that talks to one registry.
type remoteFlags struct {
	plainHTTP bool
}

func (f *remoteFlags) register(flags *flag.FlagSet) {
	flags.BoolVar(&f.plainHTTP, "plain-http", false, "speak HTTP instead of HTTPS")
	flags.String("format", "json", "accepted as the oras CLI has it; the output is JSON always")
}

// repository opens HOST/NAME[:TAG][@DIGEST] with docker's credentials.
func (f *remoteFlags) repository(reference string) (*remote.Repository, error) {
	repo, err := remote.NewRepository(reference)
	if err != nil {
		return nil, err
	}
	if repo.Client, err = client(); err != nil {
		return nil, err
	}
	repo.PlainHTTP = f.plainHTTP
	return repo, nil
}

// artifact opens a repository whose reference must name a tag or a digest.
func (f *remoteFlags) artifact(reference string) (*remote.Repository, error) {
	repo, err := f.repository(reference)
	if err == nil && repo.Reference.Reference == "" {
		err = fmt.Errorf("%s: %w: no tag and no digest", reference, errdef.ErrInvalidReference)
	}
	return repo, err
}

func client() (*auth.Client, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, err
	}
	return &auth.Client{
		Client:     retry.DefaultClient,
		Cache:      auth.NewCache(),
		Credential: credentials.Credential(store),
	}, nil
}

// layout opens the OCI image layout of PATH:TAG or PATH@DIGEST, and answers the tag or digest.
func layout(reference string) (*oci.Store, string, error) {
	at := strings.LastIndex(reference, "@")
	if at < 0 {
		at = strings.LastIndex(reference, ":")
	}
	if at < 0 {
		return nil, "", fmt.Errorf("%s: %w: no tag and no digest", reference, errdef.ErrInvalidReference)
	}
	store, err := oci.New(reference[:at])
	return store, reference[at+1:], err
}

// outcome is what a verb prints of the manifest it made or found.
type outcome struct {
	Reference    string            `json:"reference"`
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func describe(repo *remote.Repository, desc ocispec.Descriptor) outcome {
	return outcome{
		Reference:    fmt.Sprintf("%s/%s@%s", repo.Reference.Registry, repo.Reference.Repository, desc.Digest),
		MediaType:    desc.MediaType,
		Digest:       desc.Digest.String(),
		Size:         desc.Size,
		ArtifactType: desc.ArtifactType,
		Annotations:  desc.Annotations,
	}
}

func printJSON(value any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// graphOptions are those of every copy: parallel, and telling on stderr what moved and what was there already.
func graphOptions(concurrency int) oras.CopyGraphOptions {
	options := oras.DefaultCopyGraphOptions
	options.Concurrency = concurrency
	options.PostCopy = progress("Copied ")
	options.OnCopySkipped = progress("Exists ")
	options.OnMounted = progress("Mounted")
	return options
}
