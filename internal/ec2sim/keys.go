package ec2sim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
)

type keyPair struct {
	id   string
	name string
}

type createKeyPairReply struct {
	replyHeader
	ID          string   `xml:"keyPairId"`
	Name        string   `xml:"keyName"`
	Fingerprint string   `xml:"keyFingerprint"`
	Material    string   `xml:"keyMaterial"`
	Tags        []tagXML `xml:"tagSet>item"`
}

// createKeyPair is the action CreateKeyPair. The key is a real one, in PKCS #8
// form for both types, though there is nothing to log in to with it.
func createKeyPair(c *call) (answer, error) {
	specified, err := c.params.tagSpecifications("key-pair")
	if err != nil {
		return nil, err
	}
	name := c.params["KeyName"]
	if slices.ContainsFunc(c.region.keys, func(k *keyPair) bool { return k.name == name }) {
		return nil, fail("InvalidKeyPair.Duplicate", "The keypair '%s' already exists.", name)
	}
	private, err := newPrivateKey(c.params["KeyType"])
	if err != nil {
		return nil, err
	}
	key := &keyPair{c.region.newID("key-"), name}
	c.region.keys = append(c.region.keys, key)
	sum := sha256.Sum256(private)
	return &createKeyPairReply{
		ID: key.id, Name: name,
		Fingerprint: base64.StdEncoding.EncodeToString(sum[:]),
		Material:    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		Tags:        tagSet(specified["key-pair"]),
	}, nil
}

// newPrivateKey makes a key of EC2's types, of which RSA is the default.
func newPrivateKey(keyType string) ([]byte, error) {
	var key crypto.PrivateKey
	var err error
	if keyType == "ed25519" {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// deleteKeyPair is the action DeleteKeyPair, which confirms names that do not
// exist too.
func deleteKeyPair(c *call) (answer, error) {
	name := c.params["KeyName"]
	c.region.keys = slices.DeleteFunc(c.region.keys, func(k *keyPair) bool { return k.name == name })
	return &done{Return: true}, nil
}
