package main

import (
	"context"
	"fmt"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// progress makes a callback that writes one line for each descriptor to stderr.
func progress(did string) func(context.Context, ocispec.Descriptor) error {
	return func(_ context.Context, desc ocispec.Descriptor) error {
		name := desc.Annotations[ocispec.AnnotationTitle]
		if name == "" {
			name = desc.MediaType
		}
		_, err := fmt.Fprintln(os.Stderr, did, desc.Digest, desc.Size, name)
		return err
	}
}
