package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/notaryproject/notation-go/config"
	"github.com/notaryproject/notation-go/dir"
)

// certGenerateTest: notation cert generate-test [--default] NAME: a key and a self-signed certificate, trusted as ca:NAME.
func certGenerateTest(_ context.Context, args []string) error {
	flags := flag.NewFlagSet("cert generate-test", flag.ContinueOnError)
	isDefault := flags.Bool("default", false, "sign with this key unless told otherwise")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("cert generate-test takes one NAME")
	}
	name := flags.Arg(0)
	keyPEM, certPEM, err := generate(name)
	if err != nil {
		return err
	}
	keyName, certName := dir.LocalKeyPath(name)
	keyPath, err := write(keyPEM, keyName)
	if err != nil {
		return err
	}
	certPath, err := write(certPEM, certName)
	if err != nil {
		return err
	}
	if _, err := write(certPEM, dir.X509TrustStoreDir("ca", name, name+".crt")); err != nil {
		return err
	}
	return config.LoadExecSaveSigningKeys(func(keys *config.SigningKeys) error {
		return keys.Add(name, keyPath, certPath, *isDefault)
	})
}

// generate makes what the signature specification asks of a self-signed certificate: RSA of 2048 bits or more, key usage
// digital signature, extended key usage code signing.
func generate(name string) (keyPEM, certPEM []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject: pkix.Name{
			CommonName:   name,
			Organization: []string{"artifact-store"},
			Province:     []string{"Test"},
			Country:      []string{"XX"},
		},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encodedKey})
	return keyPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// write puts content under name in the configuration folder and answers its full path.
func write(content []byte, name string) (string, error) {
	path, err := dir.ConfigFS().SysPath(name)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o600)
}
