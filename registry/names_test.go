package registry

import (
	"strings"
	"testing"
)

func TestParseArtifactName(t *testing.T) {
	for _, name := range []string{"cargomedia/app", "a/b", "Org/My.Box_1", "0/1", strings.Repeat("n", 128) + "/x"} {
		t.Run("accepts "+clip(name), func(t *testing.T) {
			got, err := ParseArtifactName(name)
			if err != nil || string(got) != name {
				t.Fatalf("got %q, %v", got, err)
			}
			if got.Namespace()+"/"+got.Name() != name {
				t.Errorf("parts are %q and %q", got.Namespace(), got.Name())
			}
		})
	}
	for _, name := range []string{
		"", "app", "/app", "cargomedia/", "a/b/c", "../etc", "a/..", "a/b..c", "a/.hidden", "a/-b", "a b/c", "a/b\n", "ä/b",
		"a/b\x00", "a/%2e", `a\b`, strings.Repeat("n", 129) + "/x", "v1/app", "V1/app", "healthz/app", "a/\xff",
	} {
		t.Run("refuses "+strings.ToValidUTF8(name, "?"), func(t *testing.T) {
			if got, err := ParseArtifactName(name); KindOf(err) != Invalid {
				t.Errorf("got %q, %v; want an error of kind invalid", got, err)
			}
		})
	}
}

func TestCheckChannelName(t *testing.T) {
	for _, name := range []string{"production", "staging-eu", "a", "Blue_2", strings.Repeat("c", 63)} {
		if err := CheckChannelName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "latest", "any", "1", "1.2.0", "1-prod", "~> 1", "a.b", "a b", "é", strings.Repeat("c", 64),
		"deadbeef-0000-4000-8000-000000000000",
	} {
		if err := CheckChannelName(name); KindOf(err) != Invalid {
			t.Errorf("%q: got %v, want an error of kind invalid", name, err)
		}
	}
}

func TestParseType(t *testing.T) {
	for in, want := range map[string]Type{
		"aws.ami": AmazonImage, "amazon.ami": AmazonImage, "amazon.image": AmazonImage, "application.archive": Archive,
		"archive": Archive, "vagrant.box": VagrantBox, "googlecompute.image": "googlecompute.image", "amazon.volume": AmazonVolume,
		"terraform.provider": TerraformProvider,
	} {
		if got, err := ParseType(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "ami", "amazon", ".image", "amazon.images", "Amazon.Image", "a b.image", "vagrant.box "} {
		if got, err := ParseType(in); KindOf(err) != Invalid {
			t.Errorf("%q: got %q, %v; want an error of kind invalid", in, got, err)
		}
	}
}

func TestCheckFileName(t *testing.T) {
	for _, name := range []string{"app.box", "disk/vm-1.vmdk", "a b.txt", "ü.txt"} {
		if err := CheckFileName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a/", `a\b`, "c:x", "a\nb", "\xff", "nul", "AUX.txt", "a/con", "x /y", "a./b", "what?", strings.Repeat("x", 513)} {
		if err := CheckFileName(name); KindOf(err) != Invalid {
			t.Errorf("%q: got %v, want an error of kind invalid", name, err)
		}
	}
}

func TestParseImage(t *testing.T) {
	got, err := ParseImage("azure/westeurope//subscriptions/1/images/app")
	if err != nil || got.Provider != "azure" || got.Region != "westeurope" || got.ID != "/subscriptions/1/images/app" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, image := range []Image{
		{Provider: "aws", Region: "eu-west-1", ID: "ami-1"}, {Provider: "vsphere", Region: "dc/cluster 100%", ID: "vm/1"}, {Provider: "docker", ID: "sha256:0"},
	} {
		if got, err := ParseImage(image.String()); err != nil || got.String() != image.String() || got.Region != image.Region || got.ID != image.ID {
			t.Errorf("%+v was written %q and read as %+v, %v", image, image, got, err)
		}
	}
	for _, in := range []string{"", "aws", "aws/%zz/ami-1", "aws/eu-west-1", "aws/eu-west-1/", "/eu-west-1/ami-1"} {
		if got, err := ParseImage(in); KindOf(err) != Invalid {
			t.Errorf("%q: got %+v, %v; want an error of kind invalid", in, got, err)
		}
	}
}

func TestParseDigest(t *testing.T) {
	hex := strings.Repeat("aB", 32)
	for _, in := range []string{hex, "sha256:" + hex} {
		if got, err := ParseDigest(in); err != nil || string(got) != strings.ToLower(hex) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "abc", hex + "00", strings.Repeat("g", 64), "../" + hex[3:]} {
		if got, err := ParseDigest(in); KindOf(err) != Invalid {
			t.Errorf("%q: got %q, %v; want an error of kind invalid", in, got, err)
		}
	}
}

func TestScopes(t *testing.T) {
	for _, c := range []struct {
		scope  Scope
		name   ArtifactName
		covers bool
	}{
		{"*", "a/b", true}, {"a/*", "a/b", true}, {"a/*", "ab/c", false}, {"a/b", "a/b", true}, {"a/b", "a/bc", false}, {"a/b", "A/b", false},
	} {
		if got := c.scope.Covers(c.name); got != c.covers {
			t.Errorf("%s covers %s: %v", c.scope, c.name, got)
		}
	}
	for _, c := range []struct {
		scope  Scope
		others []Scope
		within bool
	}{
		{"*", []Scope{"a/*"}, false}, {"a/*", []Scope{"*"}, true}, {"a/b", []Scope{"a/*"}, true}, {"a/*", []Scope{"a/b"}, false},
		{"b/c", []Scope{"a/*", "b/c"}, true}, {"a/*", nil, false}, {"*", []Scope{"*"}, true},
	} {
		if got := c.scope.within(c.others); got != c.within {
			t.Errorf("%s within %v: %v", c.scope, c.others, got)
		}
	}
	for _, in := range []string{"", "a", "*/*", "*/b", "a/**", "a/b/c", "v1/*"} {
		if got, err := ParseScope(in); KindOf(err) != Invalid {
			t.Errorf("%q: got %q, %v; want an error of kind invalid", in, got, err)
		}
	}
}

func FuzzParseArtifactName(f *testing.F) {
	for _, seed := range []string{"cargomedia/app", "a/..", "v1/x", "a/b/c", "\xff/\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseArtifactName(s)
		if err != nil {
			return
		}
		if strings.Count(s, "/") != 1 || strings.Contains(s, "..") || strings.ContainsAny(s, "\\ %?#\x00\n") {
			t.Errorf("accepted %q", s)
		}
		if string(name) != s {
			t.Errorf("%q became %q", s, name)
		}
	})
}
