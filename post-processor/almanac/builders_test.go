package almanac_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	registryimage "github.com/hashicorp/packer-plugin-sdk/packer/registry/image"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

const (
	stateImages    = "par.artifact.metadata"
	stateAtlas     = "atlas.artifact.metadata"
	stateGenerated = "generated_data"
)

// image is one as it arrives: a struct becomes a map by field name.
func image(provider, region, id, source string, labels any) decoded {
	return decoded{"ImageID": id, "ProviderName": provider, "ProviderRegion": region, "Labels": labels, "SourceImageID": source}
}

// What each builder's artifact becomes. The shapes are those that arrive from Packer's plugins.
func TestBuilders(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return write(t, "content of "+name, dir, name) }
	goodBox := makeBox(t, filepath.Join(dir, "good.box"), "libvirt", "arm64")
	otherBox := makeBox(t, filepath.Join(dir, "other.box"), "libvirt", "")
	oddBox := makeBox(t, filepath.Join(dir, "odd.box"), "libvirt", "x86 64")
	badBox := write(t, "no box", dir, "bad.box")
	disks := filepath.Join(dir, "disks")
	write(t, "disk", disks, "sda.qcow2")

	amis := []any{image("aws", "us-east-1", "ami-1", "ami-0", nil), image("aws", "eu-west-1", "ami-2", "ami-0", nil)}
	twoAMIs := "amazon.image | aws/eu-west-1/ami-2<ami-0 aws/us-east-1/ami-1<ami-0 |"
	for _, c := range []struct {
		name    string
		product product
		block   options
		builder string
		want    string // type | images | files, or a part of what is shown
		shows   string
	}{
		{name: "amazon-ebs", product: product{builderID: "mitchellh.amazonebs", id: "us-east-1:ami-1,eu-west-1:ami-2", state: map[string]any{stateImages: amis}}, want: twoAMIs},
		{name: "amazon-ebssurrogate", product: product{builderID: "mitchellh.amazon.ebssurrogate", state: map[string]any{stateImages: amis}}, want: twoAMIs},
		{name: "amazon-chroot from scratch, by its Atlas metadata", product: product{builderID: "mitchellh.amazon.chroot", state: map[string]any{stateAtlas: decoded{"region.eu-west-1": "ami-2", "region.us-east-1": "ami-1"}}},
			want: "amazon.image | aws/eu-west-1/ami-2 aws/us-east-1/ami-1 |"},
		{name: "amazon-instance, by its id", product: product{builderID: "mitchellh.amazon.instance", id: "us-east-1:ami-1, eu-west-1:ami-2", state: map[string]any{stateGenerated: decoded{"SourceAMI": "ami-0"}}}, want: twoAMIs},
		{name: "amazon-import", product: product{builderID: "packer.post-processor.amazon-import", id: "eu-west-1:ami-2", state: map[string]any{stateImages: image("aws", "eu-west-1", "ami-2", "", nil)}},
			want: "amazon.image | aws/eu-west-1/ami-2 |"},
		{name: "amazon-ebsvolume", product: product{builderID: "mitchellh.amazon.ebsvolume", id: "eu-west-1:vol-1,eu-west-1:snap-1"}, want: "amazon.volume | aws/eu-west-1/snap-1 aws/eu-west-1/vol-1 |"},
		{name: "googlecompute", product: product{builderID: "packer.googlecompute", id: "app-1", state: map[string]any{
			stateImages: image("gce", "europe-west1-b", "app-1", "debian-12", decoded{"project_id": "p", "disk_size_gb": int64(10), "region.x": "dropped", "empty": ""})}},
			want: "googlecompute.image | gce/europe-west1-b/app-1<debian-12{disk_size_gb=10 project_id=p} |"},
		{name: "azure-arm", product: product{builderID: "Azure.ResourceManagement.VMImage", id: "/subscriptions/s/img", state: map[string]any{stateImages: image("azure", "westeurope", "/subscriptions/s/img", "", nil)}},
			want: "azure.image | azure/westeurope//subscriptions/s/img |"},
		{name: "docker", product: product{builderID: "packer.docker", id: "sha256:1", state: map[string]any{stateImages: image("docker", "docker", "sha256:1", "sha256:0", decoded{"tags": "a,b"})}},
			want: "docker.image | docker/docker/sha256:1<sha256:0{tags=a,b} |"},
		{name: "docker-push", product: product{builderID: "packer.post-processor.docker-push", id: "r/app:1"}, builder: "docker", want: "docker.image | docker//r/app:1 |"},
		{name: "docker export", product: product{builderID: "packer.docker", id: "Container", files: []string{file("app.tar")}}, want: "archive | | app.tar"},
		{name: "vsphere with exported files", product: product{builderID: "jetbrains.vsphere", id: "vm", files: []string{file("vm.ovf")}, state: map[string]any{stateImages: image("vsphere", "dc1", "vm", "", decoded{})}},
			want: "vsphere.image | vsphere/dc1/vm | vm.ovf"},
		{name: "qemu", product: product{builderID: "transcend.qemu", id: "VM", files: []string{file("packer-app")}, state: map[string]any{stateImages: image("transcend.qemu", "output-app", "packer-app", "", nil)}},
			want: "qemu.image | qemu//packer-app | packer-app"},
		{name: "virtualbox", product: product{builderID: "mitchellh.virtualbox", id: "VM", files: []string{file("app.ovf"), file("app-disk001.vmdk")}}, want: "virtualbox.image | | app-disk001.vmdk app.ovf"},
		{name: "vmware", product: product{builderID: "mitchellh.vmware", id: "VM", files: []string{file("app.vmx")}}, want: "vmware.image | | app.vmx"},
		{name: "hyperv", product: product{builderID: "MSOpenTech.hyperv", id: "VM", files: []string{file("app.vhdx")}}, want: "hyperv.image | | app.vhdx"},
		{name: "parallels", product: product{builderID: "packer.parallels", id: "VM", files: []string{file("app.pvs")}}, want: "parallels.image | | app.pvs"},
		{name: "openstack without images for registries", product: product{builderID: "mitchellh.openstack", id: "0b1d"}, builder: "openstack", want: "openstack.image | openstack//0b1d |"},
		{name: "digitalocean", product: product{builderID: "pearkes.digitalocean", id: "ams3:1", state: map[string]any{stateImages: []any{image("DigitalOcean", "ams3", "app", "", nil)}}},
			want: "digitalocean.image | DigitalOcean/ams3/app |"},
		{name: "vagrant post-processor", product: product{builderID: "mitchellh.post-processor.vagrant", id: "libvirt", files: []string{goodBox}}, want: "vagrant.box libvirt arm64 | | good.box"},
		{name: "vagrant builder", product: product{builderID: "vagrant", id: "libvirt", files: []string{otherBox}}, want: "vagrant.box libvirt | | other.box"},
		{name: "vagrant with a broken box", product: product{builderID: "mitchellh.post-processor.vagrant", files: []string{badBox}}, shows: "bad.box is not a Vagrant box: it is not a tar archive"},
		{name: "artifice with a box and a checksum", product: product{builderID: "packer.post-processor.artifice", files: []string{goodBox, file("good.sha256")}}, want: "vagrant.box libvirt arm64 | | good.box"},
		{name: "artifice with two boxes", product: product{builderID: "packer.post-processor.artifice", files: []string{goodBox, otherBox}}, want: "archive | | good.box other.box"},
		{name: "artifice with what is no box", product: product{builderID: "packer.post-processor.artifice", files: []string{badBox}}, want: "archive | | bad.box", shows: "it is recorded as a plain file"},
		{name: "artifice with a directory", product: product{builderID: "packer.post-processor.artifice", files: []string{disks}}, want: "archive | | disks.tar.gz"},
		{name: "file", product: product{builderID: "packer.file", id: "File", files: []string{file("app.txt")}, state: map[string]any{stateImages: image("packer.file", ".", "app.txt", "<no-defined-source-file>", nil)}},
			want: "archive | | app.txt"},
		{name: "compress", product: product{builderID: "packer.post-processor.compress", files: []string{file("app.tar.gz")}}, want: "archive | | app.tar.gz"},
		{name: "checksum", product: product{builderID: "packer.post-processor.checksum", files: []string{file("a.txt"), file("a.sha256")}}, want: "archive | | a.sha256 a.txt"},
		{name: "unknown builder with an image", product: product{builderID: "x.y", id: "1", state: map[string]any{stateImages: &registryimage.Image{ImageID: "1", ProviderName: "Vultr", ProviderRegion: "ewr"}}}, want: "vultr.image | Vultr/ewr/1 |"},
		{name: "unknown builder with AMIs", product: product{builderID: "x.copy", state: map[string]any{stateImages: amis}}, want: twoAMIs},
		{name: "unknown builder with an id", product: product{builderID: "x.y", id: "ready:1"}, builder: "lxd", want: "lxd.image | lxd//ready:1 |"},
		{name: "unknown builder with files", product: product{builderID: "x.y", files: []string{file("z.iso")}}, want: "archive | | z.iso"},
		{name: "unknown builder with a box", product: product{builderID: "x.y", files: []string{goodBox}}, want: "vagrant.box libvirt arm64 | | good.box"},
		{name: "type from the template", product: product{builderID: "x.y", id: "1", files: []string{file("z.iso")}}, block: options{"artifact_type": "custom.image"}, want: "custom.image | | z.iso"},
		{name: "architecture from the template", product: product{builderID: "vagrant", files: []string{otherBox}}, block: options{"architecture": "amd64"}, want: "vagrant.box libvirt amd64 | | other.box"},
		{name: "architecture from the template and from the box", product: product{builderID: "vagrant", files: []string{goodBox}}, block: options{"architecture": "amd64"}, want: "vagrant.box libvirt arm64 | | good.box",
			shows: "the architecture is arm64, as the box says of itself, and not amd64"},
		{name: "a box with an architecture that is none", product: product{builderID: "vagrant", files: []string{oddBox}}, want: "vagrant.box libvirt | | odd.box", shows: "what the box says of its architecture is left out"},
		{name: "a box that is listed twice", product: product{builderID: "vagrant", files: []string{goodBox, dir + "/./good.box"}}, want: "vagrant.box libvirt arm64 | | good.box"},
		{name: "a file that is listed twice", product: product{builderID: "packer.file", files: []string{file("twice"), file("twice")}}, want: "archive | | twice"},
		{name: "a directory on this machine as region", product: product{builderID: "packer.file", files: []string{file("f.img")}, state: map[string]any{stateImages: image("packer.file", "/tmp/out", "f.img", "", nil)}}, block: options{"artifact_type": "custom.image"},
			want: "custom.image | packer.file//f.img | f.img"},
		{name: "more files than a build can have", product: product{builderID: "x.y", files: make1001()}, shows: "there are 1001 files; a build has at most 1000"},
		{name: "files are not wanted", product: product{builderID: "transcend.qemu", files: []string{file("q")}, state: map[string]any{stateImages: image("qemu", "o", "q", "", nil)}}, block: options{"files": false}, want: "qemu.image | qemu//q |"},
		{name: "files are not wanted and there is nothing else", product: product{builderID: "packer.file", files: []string{file("q")}}, block: options{"files": "false"}, shows: "files is false; leave that out"},
		{name: "a file that is gone", product: product{builderID: "packer.file", files: []string{filepath.Join(dir, "gone")}}, shows: "gone: no such file"},
		{name: "null", product: product{builderID: "fnoeding.null", id: "Null", state: map[string]any{stateImages: image("null", "null", "Null", "null", nil), stateGenerated: decoded{"ID": "Null"}}}, shows: "Nothing to record"},
		{name: "null with a type", product: product{builderID: "fnoeding.null", id: "Null"}, block: options{"type": "aws.ami"}, shows: "Nothing to record"},
		{name: "vagrant-cloud", product: product{builderID: "pearkes.post-processor.vagrant-cloud"}, shows: "Nothing to record"},
		{name: "images that cannot be read", product: product{builderID: "x.y", files: []string{file("z.iso")}, state: map[string]any{stateImages: "garbage"}}, want: "archive | | z.iso"},
		{name: "amazon without images", product: product{builderID: "mitchellh.amazonebs"}, shows: "gives neither an image nor a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			builder := c.builder
			if builder == "" {
				builder = "test"
			}
			block := options{"artifact": "cargomedia/app"}
			for key, value := range c.block {
				block[key] = value
			}
			shown := record(t, block, core(builder, "app"), &c.product)
			if !strings.Contains(shown, c.shows) {
				t.Errorf("shown:\n%s\nwant %q in it", shown, c.shows)
			}
			if got := recorded(t, s); got != c.want {
				t.Errorf("recorded:\n%s\nwant\n%s\nshown:\n%s", got, c.want, shown)
			}
			allowed := map[string]bool{stateImages: true, stateAtlas: true, stateGenerated: true}
			for _, key := range c.product.asked {
				if !allowed[key] {
					t.Errorf("the artifact was asked for the state %q, which can hang", key)
				}
			}
		})
	}
}

func make1001() []string {
	var files []string
	for i := range 1001 {
		files = append(files, fmt.Sprint("no-such-file-", i))
	}
	return files
}

// recorded is the one build that a server has, as "type provider architecture | images | files"; ""
// when it has none.
func recorded(t *testing.T, s *servertest.Server) string {
	t.Helper()
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		return ""
	}
	b := v.Builds[0]
	var images, files []string
	for _, i := range b.Images {
		text := i.String()
		if i.SourceID != "" {
			text += "<" + i.SourceID
		}
		if len(i.Labels) > 0 {
			var labels []string
			for _, key := range slices.Sorted(maps.Keys(i.Labels)) {
				labels = append(labels, key+"="+i.Labels[key])
			}
			text += "{" + strings.Join(labels, " ") + "}"
		}
		images = append(images, text)
	}
	for _, f := range b.Files {
		files = append(files, f.Name)
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s | %s | %s", b.Type, b.Provider, b.Architecture, strings.Join(images, " "), strings.Join(files, " "))), " ")
}

func TestComponents(t *testing.T) {
	for _, c := range []struct{ name, builder, build, component, want string }{
		{"a JSON template's builder with a name", "amazon-ebs", "app", "", "amazon-ebs.app"},
		{"a JSON template's builder without a name", "amazon-ebs", "amazon-ebs", "", "amazon-ebs"},
		{"a component of the template's own", "amazon-ebs", "app", "amazon-ebs.web", "amazon-ebs.web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			block := options{"artifact": "cargomedia/app", "component": c.component}
			record(t, block, core(c.builder, c.build), &product{builderID: "packer.file", files: []string{write(t, "x", t.TempDir(), "x")}})
			v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, v.Builds[0].Component); diff != "" {
				t.Errorf("component (-want +got):\n%s", diff)
			}
			if v.Fingerprint != "11111111-2222-3333-4444-555555555555" {
				t.Errorf("got the fingerprint %q, want the run's id", v.Fingerprint)
			}
		})
	}
}
