package main

import (
	"context"
	"flag"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
)

// verify: notation verify [flags] REFERENCE, by trustpolicy.json and the trust store.
func verify(ctx context.Context, args []string) error {
	target, err := parseArtifact(ctx, flag.NewFlagSet("verify", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	policy, err := verifier.NewFromConfig()
	if err != nil {
		return err
	}
	if _, _, err := notation.Verify(ctx, policy, target.repository, notation.VerifyOptions{
		ArtifactReference:    target.reference,
		MaxSignatureAttempts: 100,
	}); err != nil {
		return err
	}
	_, err = fmt.Println("Successfully verified signature for", target.reference)
	return err
}

// list: notation ls [flags] REFERENCE: the artifact and the digest of each signature on it.
func list(ctx context.Context, args []string) error {
	target, err := parseArtifact(ctx, flag.NewFlagSet("ls", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	desc, err := target.repository.Resolve(ctx, target.reference)
	if err != nil {
		return err
	}
	fmt.Println(target.reference)
	return target.repository.ListSignatures(ctx, desc, func(signatures []ocispec.Descriptor) error {
		for _, signature := range signatures {
			fmt.Println("└──", signature.Digest)
		}
		return nil
	})
}
