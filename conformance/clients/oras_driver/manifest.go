package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
)

// tag: oras tag [flags] REFERENCE TAG …
func tag(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("tag", flag.ContinueOnError)
	options.register(flags)
	if err := parse(flags, args, 2); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	_, err = oras.TagN(ctx, repo, repo.Reference.Reference, flags.Args()[1:], oras.DefaultTagNOptions)
	return err
}

// resolve: oras resolve [flags] REFERENCE: its digest.
func resolve(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("resolve", flag.ContinueOnError)
	options.register(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	desc, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return err
	}
	_, err = fmt.Println(desc.Digest)
	return err
}

// manifestFetch: oras manifest fetch [flags] REFERENCE: the bytes as they were pushed, or their descriptor.
func manifestFetch(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("manifest fetch", flag.ContinueOnError)
	options.register(flags)
	descriptorOnly := flags.Bool("descriptor", false, "print the descriptor")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	desc, manifest, err := oras.FetchBytes(ctx, repo, repo.Reference.Reference, oras.DefaultFetchBytesOptions)
	if err != nil {
		return err
	}
	if *descriptorOnly {
		return printJSON(desc)
	}
	_, err = os.Stdout.Write(manifest)
	return err
}

// manifestPush: oras manifest push [flags] REFERENCE FILE: the file as it is, typed by its mediaType.
func manifestPush(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("manifest push", flag.ContinueOnError)
	options.register(flags)
	if err := parse(flags, args, 2); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	manifest, err := os.ReadFile(flags.Arg(1))
	if err != nil {
		return err
	}
	var header struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(manifest, &header); err != nil {
		return err
	}
	desc := content.NewDescriptorFromBytes(header.MediaType, manifest)
	if err := repo.PushReference(ctx, desc, bytes.NewReader(manifest), repo.Reference.Reference); err != nil {
		return err
	}
	return printJSON(describe(repo, desc))
}

// manifestDelete: oras manifest delete [flags] REFERENCE.
func manifestDelete(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("manifest delete", flag.ContinueOnError)
	options.register(flags)
	flags.Bool("force", false, "accepted as the oras CLI has it; nothing is asked")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	desc, err := repo.Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return err
	}
	return repo.Delete(ctx, desc)
}
