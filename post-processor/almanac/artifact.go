package almanac

import (
	"context"
	"fmt"
	"log"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	registryimage "github.com/hashicorp/packer-plugin-sdk/packer/registry/image"
	"github.com/mitchellh/mapstructure"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
)

// The state keys that are asked for. Asking for any other is dangerous: a value that cannot be sent
// between plugins makes the call, and Packer with it, hang for ever.
const (
	stateImages    = registryimage.ArtifactStateURI
	stateAtlas     = "atlas.artifact.metadata"
	stateGenerated = "generated_data"
)

// defaultStateTimeout is ample: a state of several megabytes arrives in a tenth of a second.
const defaultStateTimeout = 30 * time.Second

// product is all that a builder says of what it made.
type product struct {
	builderID string
	id        string
	files     []string
	images    []registryimage.Image
	// atlas has "region.REGION" = id; only amazon's builders still give it.
	atlas map[string]string
	// generated also holds keys and passwords; see provenance.go for what may be taken from it.
	generated map[string]any
}

// unreadError says that an artifact could not be asked all that it should be.
type unreadError struct {
	// unread are the questions that have no answer that can be relied on.
	unread []string
	err    error
}

func (e *unreadError) Error() string { return e.err.Error() }
func (e *unreadError) Unwrap() error { return e.err }

// readProduct asks an artifact, each thing within a time limit; what says most in the fewest words comes
// first. The error is an [*unreadError], and what was answered before it is returned, too.
func readProduct(ctx context.Context, a packersdk.Artifact, limit time.Duration) (product, error) {
	if limit == 0 {
		limit = defaultStateTimeout
	}
	var p product
	// The answer to a question that was given up may still come, and must find another place then.
	states := map[string]*any{stateImages: new(any), stateAtlas: new(any), stateGenerated: new(any)}
	builderID, id, files := new(string), new(string), new([]string)
	questions := []struct {
		what string
		ask  func()
		take func()
	}{
		{"its builder id", func() { *builderID = a.BuilderId() }, func() { p.builderID = *builderID }},
		{"its id", func() { *id = a.Id() }, func() { p.id = *id }},
		{"its files", func() { *files = a.Files() }, func() { p.files = localfiles.Unique(*files) }},
		{"its state " + stateImages, func() { *states[stateImages] = a.State(stateImages) }, func() { p.images = decodeImages(*states[stateImages]) }},
		{"its state " + stateAtlas, func() { *states[stateAtlas] = a.State(stateAtlas) }, func() { p.atlas = decodeStrings(stateAtlas, *states[stateAtlas]) }},
		{"its state " + stateGenerated, func() { *states[stateGenerated] = a.State(stateGenerated) }, func() { p.generated, _ = normalize(*states[stateGenerated]).(map[string]any) }},
	}
	var asked []string
	for _, q := range questions {
		asked = append(asked, q.what)
	}
	for i, q := range questions {
		if err := within(ctx, limit, q.ask); err != nil {
			return p, &unreadError{asked[i:], fmt.Errorf("the artifact did not answer when it was asked for %s: %w", q.what, err)}
		}
		q.take()
	}
	// A plugin that died answers everything with nothing, and says so nowhere.
	var again string
	if err := within(ctx, limit, func() { again = a.BuilderId() }); err != nil || again != p.builderID {
		return p, &unreadError{asked[1:], fmt.Errorf("the plugin that made the artifact stopped answering while it was read")}
	}
	if p.builderID == "" && p.id == "" && len(p.files) == 0 && *states[stateImages] == nil && *states[stateAtlas] == nil && *states[stateGenerated] == nil {
		return p, &unreadError{asked, fmt.Errorf("the plugin that made the artifact stopped answering: it says nothing at all of the artifact")}
	}
	return p, nil
}

// within runs ask and gives up on it after a while; ask goes on running then.
func within(ctx context.Context, limit time.Duration, ask func()) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			var err error
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			done <- err
		}()
		ask()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("no answer within %s; the builder's plugin hangs", limit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decodeImages reads the images that a builder gives for registries: one or a list, as structs of this
// process or as the maps that they become on their way between plugins.
func decodeImages(state any) []registryimage.Image {
	if state == nil {
		return nil
	}
	var images []registryimage.Image
	if err := weakly(normalize(state), &images); err != nil {
		log.Printf("[WARN] the artifact's state %s cannot be read: %v", stateImages, err)
		return nil
	}
	var usable []registryimage.Image
	for _, image := range images {
		if image.ImageID != "" && image.ProviderName != "" {
			usable = append(usable, image)
		}
	}
	return usable
}

func decodeStrings(key string, state any) map[string]string {
	if state == nil {
		return nil
	}
	var values map[string]string
	if err := weakly(normalize(state), &values); err != nil {
		log.Printf("[WARN] the artifact's state %s cannot be read: %v", key, err)
		return nil
	}
	return values
}

func weakly(from, to any) error {
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{Result: to, WeaklyTypedInput: true})
	if err != nil {
		return err
	}
	return decoder.Decode(from)
}

// normalize turns the maps that cross between plugins, whose keys are of any type, into maps by
// string, at every depth.
func normalize(value any) any {
	switch value := value.(type) {
	case map[any]any:
		m := make(map[string]any, len(value))
		for k, v := range value {
			m[fmt.Sprint(k)] = normalize(v)
		}
		return m
	case map[string]any:
		m := make(map[string]any, len(value))
		for k, v := range value {
			m[k] = normalize(v)
		}
		return m
	case []any:
		list := make([]any, len(value))
		for i, v := range value {
			list[i] = normalize(v)
		}
		return list
	}
	return value
}
