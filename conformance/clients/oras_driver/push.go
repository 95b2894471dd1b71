package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/file"
)

// packFlags are the flags of the verbs that make a manifest out of files.
type packFlags struct {
	remoteFlags
	artifactType  string
	config        string
	concurrency   int
	anyPath       bool
	manifestNotes annotations
}

func (f *packFlags) register(flags *flag.FlagSet) {
	f.remoteFlags.register(flags)
	f.manifestNotes = annotations{}
	flags.StringVar(&f.artifactType, "artifact-type", "", "artifact type of the manifest")
	flags.StringVar(&f.config, "config", "", "config file, as PATH[:TYPE]")
	flags.IntVar(&f.concurrency, "concurrency", 5, "blobs under way at once")
	flags.BoolVar(&f.anyPath, "disable-path-validation", false, "take absolute paths and paths with ..")
	flags.Var(f.manifestNotes, "annotation", "manifest annotation, as KEY=VALUE; may be repeated")
}

// pack puts files and a manifest over them into store.
func (f *packFlags) pack(ctx context.Context, store *file.Store, paths []string, subject *ocispec.Descriptor) (ocispec.Descriptor, error) {
	options := oras.PackManifestOptions{Subject: subject, ManifestAnnotations: f.manifestNotes}
	for _, argument := range paths {
		path, mediaType := splitType(argument, "application/vnd.oci.image.layer.v1.tar")
		if !f.anyPath && !filepath.IsLocal(path) {
			return ocispec.Descriptor{}, fmt.Errorf("%s leaves the folder: use --disable-path-validation", path)
		}
		layer, err := store.Add(ctx, filepath.ToSlash(path), mediaType, path)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		options.Layers = append(options.Layers, layer)
	}
	if f.config != "" {
		path, mediaType := splitType(f.config, oras.MediaTypeUnknownConfig)
		content, err := os.ReadFile(path)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		config, err := oras.PushBytes(ctx, store, mediaType, content)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		options.ConfigDescriptor = &config
	} else if f.artifactType == "" {
		f.artifactType = oras.MediaTypeUnknownArtifact
	}
	return oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, f.artifactType, options)
}

// splitType parts PATH[:TYPE]; a type has a slash and a Windows path has none after its colon.
func splitType(argument, fallback string) (path, mediaType string) {
	if at := strings.LastIndex(argument, ":"); at > 0 && strings.Contains(argument[at:], "/") {
		return argument[:at], argument[at+1:]
	}
	return argument, fallback
}

// push: oras push [flags] REFERENCE FILE[:TYPE] …
func push(ctx context.Context, args []string) error {
	var options packFlags
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	options.register(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	repo, err := options.artifact(flags.Arg(0))
	if err != nil {
		return err
	}
	store, err := file.New("")
	if err != nil {
		return err
	}
	defer store.Close()
	root, err := options.pack(ctx, store, flags.Args()[1:], nil)
	if err != nil {
		return err
	}
	name := repo.Reference.Reference
	if err := store.Tag(ctx, root, name); err != nil {
		return err
	}
	copying := oras.CopyOptions{CopyGraphOptions: graphOptions(options.concurrency)}
	if _, err := oras.Copy(ctx, store, name, repo, name, copying); err != nil {
		return err
	}
	return printJSON(describe(repo, root))
}

// attach: oras attach [flags] --artifact-type TYPE REFERENCE FILE[:TYPE] …
func attach(ctx context.Context, args []string) error {
	var options packFlags
	flags := flag.NewFlagSet("attach", flag.ContinueOnError)
	options.register(flags)
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
	store, err := file.New("")
	if err != nil {
		return err
	}
	defer store.Close()
	root, err := options.pack(ctx, store, flags.Args()[1:], &subject)
	if err != nil {
		return err
	}
	if err := oras.CopyGraph(ctx, store, repo, root, graphOptions(options.concurrency)); err != nil {
		return err
	}
	return printJSON(describe(repo, root))
}
