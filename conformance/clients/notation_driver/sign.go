package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/config"
	"github.com/notaryproject/notation-go/signer"
)

var envelopes = map[string]string{
	"jws":  jws.MediaTypeEnvelope,
	"cose": cose.MediaTypeEnvelope,
}

// sign: notation sign [flags] REFERENCE, with the default key.
func sign(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sign", flag.ContinueOnError)
	format := flags.String("signature-format", "jws", "jws or cose")
	target, err := parseArtifact(ctx, flags, args)
	if err != nil {
		return err
	}
	envelope, known := envelopes[*format]
	if !known {
		return fmt.Errorf("signature format %q is neither jws nor cose", *format)
	}
	keys, err := config.LoadSigningKeys()
	if err != nil {
		return err
	}
	key, err := keys.GetDefault()
	if err != nil {
		return err
	}
	keySigner, err := signer.NewGenericSignerFromFiles(key.KeyPath, key.CertificatePath)
	if err != nil {
		return err
	}
	if _, err := notation.Sign(ctx, keySigner, target.repository, notation.SignOptions{
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: envelope},
		ArtifactReference: target.reference,
	}); err != nil {
		return err
	}
	_, err = fmt.Println("Successfully signed", target.reference)
	return err
}
