package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blobPush: oras blob push [flags] REFERENCE FILE.
func blobPush(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("blob push", flag.ContinueOnError)
	options.register(flags)
	mediaType := flags.String("media-type", "application/octet-stream", "type in the printed descriptor")
	if err := parse(flags, args, 2); err != nil {
		return err
	}
	repo, err := options.repository(flags.Arg(0))
	if err != nil {
		return err
	}
	source, err := os.Open(flags.Arg(1))
	if err != nil {
		return err
	}
	defer source.Close()
	sum, err := digest.FromReader(source)
	if err != nil {
		return err
	}
	size, err := source.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return err
	}
	desc := ocispec.Descriptor{MediaType: *mediaType, Digest: sum, Size: size}
	if err := repo.Blobs().Push(ctx, desc, source); err != nil {
		return err
	}
	return printJSON(desc)
}

// blobFetch: oras blob fetch [flags] --output FILE NAME@DIGEST. With --resume, a file that is there is continued with a
// range request; the digest is checked over the whole either way.
func blobFetch(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("blob fetch", flag.ContinueOnError)
	options.register(flags)
	output := flags.String("output", "", "file to write")
	resume := flags.Bool("resume", false, "continue a file that is partly there")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	desc, body, err := repo.Blobs().FetchReference(ctx, repo.Reference.Reference)
	if err != nil {
		return err
	}
	defer body.Close()
	mode := os.O_RDWR | os.O_CREATE
	if !*resume {
		mode |= os.O_TRUNC
	}
	sink, err := os.OpenFile(*output, mode, 0o644)
	if err != nil {
		return err
	}
	defer sink.Close()
	if err := fill(sink, body, desc); err != nil {
		return err
	}
	return printJSON(desc)
}

// fill hashes what sink holds, appends the rest of body to it and checks the sum.
func fill(sink *os.File, body io.Reader, desc ocispec.Descriptor) error {
	verifier := desc.Digest.Verifier()
	held, err := io.Copy(verifier, sink)
	if err != nil {
		return err
	}
	if held > 0 {
		seeker, ranged := body.(io.Seeker)
		if !ranged {
			return fmt.Errorf("%s: the registry does not serve ranges", desc.Digest)
		}
		if _, err := seeker.Seek(held, io.SeekStart); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.MultiWriter(sink, verifier), body); err != nil {
		return err
	}
	if !verifier.Verified() {
		return fmt.Errorf("%s: the bytes do not match", desc.Digest)
	}
	return nil
}

// blobDelete: oras blob delete [flags] NAME@DIGEST.
func blobDelete(ctx context.Context, args []string) error {
	var options remoteFlags
	flags := flag.NewFlagSet("blob delete", flag.ContinueOnError)
	options.register(flags)
	flags.Bool("force", false, "accepted as the oras CLI has it; nothing is asked")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	desc, err := repo.Blobs().Resolve(ctx, repo.Reference.Reference)
	if err != nil {
		return err
	}
	return repo.Blobs().Delete(ctx, desc)
}
