package ec2sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Seed is what an account has from before: images, and instances of them.
type Seed struct {
	Images    []SeedImage     `json:"images,omitempty"`
	Instances []SeedInstances `json:"instances,omitempty"`
}

// SeedImage is an available image, made like the base image of its region but for
// what is said here.
type SeedImage struct {
	Region string `json:"region"`
	// ID is chosen where it is empty.
	ID          string            `json:"id,omitempty"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Owner       string            `json:"owner,omitempty"`        // Default: the account.
	Arch        string            `json:"architecture,omitempty"` // Default: x86_64.
	CreatedAt   time.Time         `json:"created_at,omitzero"`    // Default: now.
	Tags        map[string]string `json:"tags,omitempty"`
}

// SeedInstances are instances of one image, launched together.
type SeedInstances struct {
	Region string `json:"region"`
	// Image is the id of an image of the region, or the name of exactly one.
	Image string `json:"image"`
	// Count is how many there are; 0 is one.
	Count int `json:"count,omitempty"`
	// ID is for one instance, and chosen where it is empty.
	ID string `json:"id,omitempty"`
	// Name is the tag Name; several get NAME-1, NAME-2 and so on.
	Name string `json:"name,omitempty"`
	Type string `json:"type,omitempty"` // Default: t3.micro.
	Zone string `json:"zone,omitempty"` // Default: the zone a of the region.
	// State is running (the default), stopped or terminated.
	State      string            `json:"state,omitempty"`
	LaunchedAt time.Time         `json:"launched_at,omitzero"` // Default: now.
	Tags       map[string]string `json:"tags,omitempty"`
}

// Seeded are the ids of what a Seed made, in its order.
type Seeded struct {
	Images    []string   `json:"images"`
	Instances [][]string `json:"instances"`
}

// Seed adds what the account has from before. It adds everything or, when
// something makes no sense, nothing.
func (s *Server) Seed(seed Seed) (Seeded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := Seeded{Images: []string{}, Instances: [][]string{}}
	undo := s.snapshot()
	for i, image := range seed.Images {
		id, err := s.seedImage(image)
		if err != nil {
			undo()
			return Seeded{}, fmt.Errorf("images[%d]: %w", i, err)
		}
		made.Images = append(made.Images, id)
	}
	for i, instances := range seed.Instances {
		ids, err := s.seedInstances(instances)
		if err != nil {
			undo()
			return Seeded{}, fmt.Errorf("instances[%d]: %w", i, err)
		}
		made.Instances = append(made.Instances, ids)
	}
	return made, nil
}

// snapshot returns what takes back the resources that are made after it.
func (s *Server) snapshot() (undo func()) {
	before := make(map[string]region, len(s.regions))
	for name, r := range s.regions {
		before[name] = *r
	}
	return func() {
		for name, was := range before {
			r := s.regions[name]
			r.images, r.snapshots = r.images[:len(was.images)], r.snapshots[:len(was.snapshots)]
			r.instances, r.volumes = r.instances[:len(was.instances)], r.volumes[:len(was.volumes)]
		}
	}
}

func (s *Server) seedImage(seed SeedImage) (string, error) {
	r, err := s.seedRegion(seed.Region)
	if err != nil {
		return "", err
	}
	if err := checkImageName(seed.Name); err != nil {
		return "", err
	}
	if seed.Owner != "" && !accountID.MatchString(seed.Owner) {
		return "", fmt.Errorf("owner %q is not an account id of 12 digits", seed.Owner)
	}
	if seed.ID != "" {
		if err := amiKind.check(seed.ID); err != nil {
			return "", err
		}
		if _, err := r.image(seed.ID); err == nil {
			return "", fmt.Errorf("%s exists already", seed.ID)
		}
	}
	tags := maps.Clone(seed.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	base := r.images[0].clone()
	base.SourceImageID, base.SourceImageRegion = base.ID, r.name
	id := s.register(r, base, seed.Name, tags, map[string]string{})
	image := r.images[len(r.images)-1]
	image.Description = seed.Description
	if seed.ID != "" {
		image.ID, id = seed.ID, seed.ID
	}
	if seed.Owner != "" {
		image.Owner = seed.Owner
	}
	if seed.Arch != "" {
		image.Architecture = seed.Arch
	}
	if !seed.CreatedAt.IsZero() {
		image.CreatedAt = seed.CreatedAt.UTC()
	}
	return id, nil
}

func (s *Server) seedRegion(name string) (*region, error) {
	r, ok := s.regions[name]
	if !ok {
		return nil, fmt.Errorf("region %q is not one of %s", name, strings.Join(regionNames, ", "))
	}
	return r, nil
}

func (s *Server) seedInstances(seed SeedInstances) ([]string, error) {
	template, err := s.seedTemplate(seed)
	if err != nil {
		return nil, err
	}
	r, count := s.regions[seed.Region], max(seed.Count, 1)
	ids := make([]string, count)
	for n := range ids {
		i := *template
		if i.id = seed.ID; i.id == "" {
			i.id = r.newID(instanceKind.prefix)
		}
		i.tags = maps.Clone(seed.Tags)
		if i.tags == nil {
			i.tags = map[string]string{}
		}
		if seed.Name != "" {
			i.tags["Name"] = seed.Name
			if count > 1 {
				i.tags["Name"] += "-" + strconv.Itoa(n+1)
			}
		}
		if i.state != terminated {
			i.volumeID = r.newID(volumeKind.prefix)
			r.volumes = append(r.volumes, &volume{
				id: i.volumeID, instance: &i, snapshotID: i.image.SnapshotID, size: i.image.VolumeSize,
				createdAt: i.launchedAt, tags: map[string]string{},
			})
		}
		r.instances = append(r.instances, &i)
		ids[n] = i.id
	}
	return ids, nil
}

// seedTemplate checks a seed and returns what its instances have in common.
func (s *Server) seedTemplate(seed SeedInstances) (*instance, error) {
	r, err := s.seedRegion(seed.Region)
	if err != nil {
		return nil, err
	}
	var images []*Image
	for _, image := range r.images {
		if image.ID == seed.Image || image.Name == seed.Image {
			images = append(images, image)
		}
	}
	if len(images) != 1 {
		return nil, fmt.Errorf("%d images in %s have the id or the name %q; one is needed", len(images), r.name, seed.Image)
	}
	states := map[string]state{"": running, running.Name: running, stopped.Name: stopped, terminated.Name: terminated}
	i := &instance{
		image: images[0].clone(), kind: seed.Type, zone: seed.Zone, subnet: r.subnet, vpcID: r.vpcID,
		groups: r.groups[:1:1], launchedAt: seed.LaunchedAt.UTC(), state: states[seed.State],
	}
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if i.state == (state{}) {
		bad("state %q is not one of %s", seed.State, strings.Join(slices.Sorted(maps.Keys(states))[1:], ", "))
	}
	if seed.Count < 0 || seed.Count > 1 && seed.ID != "" {
		bad("count %d is negative, or there is an id for several instances", seed.Count)
	}
	if seed.ID != "" {
		if err := instanceKind.check(seed.ID); err != nil {
			problems = append(problems, err)
		} else if _, err := r.instance(seed.ID); err == nil {
			bad("%s exists already", seed.ID)
		}
	}
	if i.kind == "" {
		i.kind = "t3.micro"
	}
	if !instanceType.MatchString(i.kind) {
		bad("type %q is none, such as t3.micro", i.kind)
	}
	if i.zone == "" {
		i.zone = r.name + "a"
	}
	// Unlike RunInstances this takes Local Zones, too: us-west-2-lax-1a.
	if !strings.HasPrefix(i.zone, r.name) || i.zone == r.name {
		bad("zone %q is none of %s", i.zone, r.name)
	}
	if seed.LaunchedAt.IsZero() {
		i.launchedAt = s.now().UTC()
	}
	i.reservation = r.newID("r-")
	return i, errors.Join(problems...)
}

// SeedControl is a handler for tests that cannot call [Server.Seed], since it runs
// in another process: POST adds the Seed in the body (JSON) and answers with what
// was [Seeded]. A seed that makes no sense is answered with 400 and a sentence.
func (s *Server) SeedControl() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "what the account has from before is added with POST", http.StatusMethodNotAllowed)
			return
		}
		seed, err := ParseSeed(http.MaxBytesReader(w, r.Body, maxSeed))
		var made Seeded
		if err == nil {
			made, err = s.Seed(seed)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(made); err != nil {
			s.log.DebugContext(r.Context(), "client went away", "error", err)
		}
	})
}

// maxSeed is ample for an account of a test.
const maxSeed = 16 << 20

// ParseSeed reads a JSON object with the fields of Seed.
func ParseSeed(r io.Reader) (Seed, error) {
	var seed Seed
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&seed); err != nil {
		return Seed{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Seed{}, errors.New("there is more than one JSON object")
	}
	return seed, nil
}
