package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// vagrant measures the way of a box in and out over the routes of Vagrant's clients.
func (b *bench) vagrant() ([]figure, error) {
	box, err := newBox(b.scratch, b.scale.File)
	if err != nil {
		return nil, err
	}
	defer os.Remove(box.path)
	figures, err := b.boxPuts(box)
	if err != nil {
		return nil, err
	}
	gets, err := b.boxGets(box)
	if err != nil {
		return nil, err
	}
	memory, err := b.boxMemory()
	return append(append(gets, figures...), memory...), err
}

// boxPuts measures durable uploads against a copy that is as durable.
func (b *bench) boxPuts(box *content) ([]figure, error) {
	var put, copied []float64
	for round := range b.scale.Rounds {
		b.say("vagrant, upload, round %d of %d", round+1, b.scale.Rounds)
		name := box.path + ".copy"
		rate, err := box.rate(func() error { return copyAndSync(name, box.path) })
		if err := errors.Join(err, os.RemoveAll(name), b.ctx.Err()); err != nil {
			return nil, err
		}
		copied = append(copied, rate)
		if rate, err = b.boxPut(box); err != nil {
			return nil, err
		}
		put = append(put, rate)
	}
	return []figure{
		median("box PUT / cp + fsync", "x", quotients(put, copied), atLeast(0.75, 0.95)),
		median("box PUT", "MiB/s", put, nil),
		median("cp + fsync of a box", "MiB/s", copied, nil),
	}, nil
}

// boxPut is the rate of one upload to a new registry.
func (b *bench) boxPut(box *content) (rate float64, err error) {
	server, err := b.fresh("", false)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.end(server, true)) }()
	door, err := b.openDoor(server)
	if err != nil {
		return 0, err
	}
	file, err := os.Open(box.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return box.rate(func() error { return door.put(file, box.size) })
}

// boxGets measures downloads of a box against those of the same file from nginx.
func (b *bench) boxGets(box *content) (figures []figure, err error) {
	rateLimits, cpuLimits := atLeast(0.85, 1), atMost(1.2, 1.1)
	const rateName, cpuName = "box GET / nginx sendfile, rate", "box GET / nginx sendfile, CPU"
	program, err := exec.LookPath("nginx")
	if err != nil {
		return []figure{missing(rateName, "x", noNginx, rateLimits), missing(cpuName, "x", noNginx, cpuLimits)}, nil
	}
	server, err := b.fresh(b.cores.server, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(server, true)) }()
	door, err := b.publishBox(server, box)
	if err != nil {
		return nil, err
	}
	nginx, address, err := b.startNginx(program, box.path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.children.stop(nginx)) }()
	ours := &source{name: "box GET", server: server.process, plan: fetchPlan{server.address(), boxPath, door.header(), fetchTimes}}
	theirs := &source{name: "nginx sendfile of a box", server: nginx, plan: fetchPlan{address, "/vagrant.box", door.header(), fetchTimes}}
	if err := b.warm(ours, theirs); err != nil {
		return nil, err
	}
	for round := range b.scale.Rounds {
		b.say("vagrant, download, round %d of %d", round+1, b.scale.Rounds)
		for _, s := range []*source{ours, theirs} {
			if err := b.fetchFrom(s, box.size); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	cpu := missing(cpuName, "x", noProc, cpuLimits)
	if len(ours.cpu) > 0 {
		cpu = median(cpuName, "x", quotients(ours.cpu, theirs.cpu), cpuLimits)
	}
	figures = []figure{median(rateName, "x", quotients(ours.rate, theirs.rate), rateLimits), cpu}
	for _, s := range []*source{ours, theirs} {
		figures = append(figures, s.details()...)
	}
	return figures, nil
}

// publishBox uploads a box to a new registry and releases it.
func (b *bench) publishBox(a *almanac, box *content) (*door, error) {
	d, err := b.openDoor(a)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(box.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return d, errors.Join(d.put(file, box.size), d.release())
}

// boxMemory reads a server's memory before, at the peak of and after the transfers of one large box, which is on the disk
// of the registry alone.
func (b *bench) boxMemory() (figures []figure, err error) {
	b.say("vagrant, one box of %d MiB in and out", b.scale.Large>>20)
	length, err := boxLength(b.scale.Large)
	if err != nil {
		return nil, err
	}
	server, err := b.fresh("", true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(server, true)) }()
	d, err := b.openDoor(server)
	if err != nil {
		return nil, err
	}
	time.Sleep(b.scale.Idle)
	before := readMemory(server.pid)
	peakErr := forgetPeak(server.pid)
	stream := streamBox(b.scale.Large)
	defer stream.Close()
	if err := errors.Join(d.put(stream, length), d.release()); err != nil {
		return nil, err
	}
	var got fetchResult
	_, err = b.children.runOwn(b.ctx, "", "fetch", fetchPlan{server.address(), boxPath, d.header(), 1}, &got)
	if err == nil && got.Bytes != length {
		err = fmt.Errorf("the box came back with %d bytes of %d", got.Bytes, length)
	}
	if err := errors.Join(err, server.alive()); err != nil {
		return nil, err
	}
	peak := readMemory(server.pid)["VmHWM"]
	time.Sleep(b.scale.Idle)
	after := readMemory(server.pid)

	name := fmt.Sprintf("box transfer of %d MiB, growth of the server's memory", b.scale.Large>>20)
	bound := atMost(32, 32)
	if before == nil || peakErr != nil {
		return []figure{missing(name, "MiB", noProc, bound), missing(name+" at its peak", "MiB", noProc, bound)}, nil
	}
	once := func(name string, value float64, l *limits) figure { return median(name, "MiB", []float64{value}, l) }
	return []figure{
		once(name, max(after["VmRSS"]-before["VmRSS"], 0), bound),
		once(name+" at its peak", max(peak-before["VmRSS"], 0), bound),
		once(name+", without mapped files", max(after["RssAnon"]-before["RssAnon"], 0), nil),
		once("memory of the server before the box", before["VmRSS"], nil),
	}, nil
}

// readMemory is what a process has in memory in MiB, as [resident] names it; nil where the system does not say.
func readMemory(pid int) map[string]float64 {
	found := map[string]float64{}
	for _, name := range []string{"VmRSS", "RssAnon", "VmHWM"} {
		value, err := resident(pid, name)
		if err != nil {
			return nil
		}
		found[name] = value
	}
	return found
}

// boxPath is where a catalog says that the box is.
const boxPath = "/bench/boxes/box/versions/1.0.0/providers/virtualbox/amd64/vagrant.box"

// door is the Vagrant Cloud API of a registry that waits for the bytes of one box.
type door struct {
	bench              *bench
	url, token, upload string
}

// openDoor makes the box, a version and a provider, and asks where the bytes go.
func (b *bench) openDoor(a *almanac) (*door, error) {
	token, err := a.adminToken()
	if err != nil {
		return nil, err
	}
	d := &door{bench: b, url: a.url + "/api/v2", token: token}
	for _, step := range []struct{ path, body string }{
		{"/boxes", `{"box":{"username":"bench","name":"box"}}`},
		{"/box/bench/box/versions", `{"version":{"version":"1.0.0"}}`},
		{"/box/bench/box/version/1.0.0/providers", `{"provider":{"name":"virtualbox","architecture":"amd64"}}`},
	} {
		if err := b.call(token, http.MethodPost, d.url+step.path, bytes.NewReader([]byte(step.body)), int64(len(step.body)), "application/json", nil); err != nil {
			return nil, err
		}
	}
	var where struct {
		Path string `json:"upload_path"`
	}
	if err := b.call(token, http.MethodGet, d.url+"/box/bench/box/version/1.0.0/provider/virtualbox/amd64/upload", nil, 0, "", &where); err != nil {
		return nil, err
	}
	if where.Path == "" {
		return nil, errors.New("the answer to an upload's beginning has no upload_path")
	}
	d.upload = where.Path
	return d, nil
}

// put sends the bytes, for which the URL is enough.
func (d *door) put(r io.Reader, size int64) error {
	return d.bench.call("", http.MethodPut, d.upload, r, size, "", nil)
}

func (d *door) release() error {
	return d.bench.call(d.token, http.MethodPut, d.url+"/box/bench/box/version/1.0.0/release", nil, 0, "", nil)
}

// header is what a download sends besides its first line.
func (d *door) header() string { return "Authorization: Bearer " + d.token + "\r\n" }
