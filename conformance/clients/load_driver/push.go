package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"encoding/json"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
)

// pushing are the flags of the verbs that push.
type pushing struct {
	count, atOnce int
	seed          string
}

func (p *pushing) parse(name string, args []string, more func(*flag.FlagSet)) (*remote.Repository, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.IntVar(&p.count, "count", 100, "how many")
	flags.IntVar(&p.atOnce, "at-once", 8, "how many under way at once")
	flags.StringVar(&p.seed, "seed", "seed", "makes the content another one; also the beginning of tags")
	if more != nil {
		more(flags)
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	host, name, found := strings.Cut(flags.Arg(0), "/")
	if !found {
		return nil, errors.New(name + ": HOST:PORT/REPOSITORY is needed")
	}
	repository, err := remote.NewRepository(host + "/" + name)
	if err != nil {
		return nil, err
	}
	repository.PlainHTTP = true
	return repository, nil
}

// fill: load-driver fill [flags] HOST:PORT/REPOSITORY pushes manifests over one config and one layer.
func fill(ctx context.Context, args []string) (*result, error) {
	var options pushing
	var tagged bool
	var subject string
	repository, err := options.parse("fill", args, func(flags *flag.FlagSet) {
		flags.BoolVar(&tagged, "tag", true, "tag each as SEED-N")
		flags.StringVar(&subject, "subject", "", "a manifest's tag or digest: what is pushed are referrers of it")
	})
	if err != nil {
		return nil, err
	}
	var target *ocispec.Descriptor
	if subject != "" {
		found, err := repository.Resolve(ctx, subject)
		if err != nil {
			return nil, err
		}
		target = &found
	}
	layer := []byte("a layer of " + options.seed)
	layers := []ocispec.Descriptor{content.NewDescriptorFromBytes("application/octet-stream", layer)}
	for descriptor, data := range map[*ocispec.Descriptor][]byte{&layers[0]: layer, &ocispec.DescriptorEmptyJSON: []byte("{}")} {
		if err := push(ctx, repository, *descriptor, data); err != nil {
			return nil, err
		}
	}
	digests := make([]string, options.count)
	found := inParallel(options.atOnce, options.count, 0, func(_, n int) error {
		manifest := ocispec.Manifest{
			Versioned:    specs.Versioned{SchemaVersion: 2},
			MediaType:    ocispec.MediaTypeImageManifest,
			ArtifactType: "application/vnd.load",
			Config:       ocispec.DescriptorEmptyJSON,
			Layers:       layers,
			Subject:      target,
			Annotations:  map[string]string{"n": fmt.Sprintf("%s-%d", options.seed, n)},
		}
		data, err := json.Marshal(manifest)
		if err != nil {
			return err
		}
		descriptor := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, data)
		digests[n] = descriptor.Digest.String()
		reference := descriptor.Digest.String()
		if tagged {
			reference = fmt.Sprintf("%s-%d", options.seed, n)
		}
		return repository.PushReference(ctx, descriptor, strings.NewReader(string(data)), reference)
	})
	found.Digests = digests
	return found, nil
}

// artifacts: load-driver artifacts [flags] HOST:PORT/REPOSITORY pushes small artifacts as oras does: a layer of 1 KiB
// that nobody has, a config, a manifest, a tag.
func artifacts(ctx context.Context, args []string) (*result, error) {
	var options pushing
	var size int
	repository, err := options.parse("artifacts", args, func(flags *flag.FlagSet) {
		flags.IntVar(&size, "size", 1024, "bytes of each layer")
	})
	if err != nil {
		return nil, err
	}
	return inParallel(options.atOnce, options.count, 0, func(_, n int) error {
		tag := fmt.Sprintf("%s-%d", options.seed, n)
		store := memory.New()
		data := bytesOf(tag, size)
		layer := content.NewDescriptorFromBytes("application/octet-stream", data)
		if err := store.Push(ctx, layer, strings.NewReader(string(data))); err != nil {
			return err
		}
		config := []byte(fmt.Sprintf(`{"of":%q}`, tag))
		configured := content.NewDescriptorFromBytes("application/vnd.load.config+json", config)
		if err := store.Push(ctx, configured, strings.NewReader(string(config))); err != nil {
			return err
		}
		packed := oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}, ConfigDescriptor: &configured}
		root, err := oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, "", packed)
		if err != nil {
			return err
		}
		if err := store.Tag(ctx, root, tag); err != nil {
			return err
		}
		_, err = oras.Copy(ctx, store, tag, repository, tag, oras.DefaultCopyOptions)
		return err
	}), nil
}

// bytesOf makes size bytes that no other name gives.
func bytesOf(name string, size int) []byte {
	var made strings.Builder
	for made.Len() < size {
		made.WriteString(digest.FromString(fmt.Sprintf("%s %d", name, made.Len())).Encoded())
	}
	return []byte(made.String()[:size])
}

// push stores a blob unless the registry has it.
func push(ctx context.Context, repository *remote.Repository, descriptor ocispec.Descriptor, data []byte) error {
	there, err := repository.Exists(ctx, descriptor)
	if err != nil || there {
		return err
	}
	return repository.Push(ctx, descriptor, strings.NewReader(string(data)))
}
