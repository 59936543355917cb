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

// readProduct asks an artifact, each thing within a time limit. The errors name what did not answer.
func readProduct(ctx context.Context, a packersdk.Artifact, limit time.Duration) (product, error) {
	if limit == 0 {
		limit = defaultStateTimeout
	}
	var p product
	var images, atlas, generated any
	for _, question := range []struct {
		what string
		ask  func()
	}{
		{"its builder id", func() { p.builderID = a.BuilderId() }},
		{"its id", func() { p.id = a.Id() }},
		{"its files", func() { p.files = a.Files() }},
		{"its state " + stateImages, func() { images = a.State(stateImages) }},
		{"its state " + stateAtlas, func() { atlas = a.State(stateAtlas) }},
		{"its state " + stateGenerated, func() { generated = a.State(stateGenerated) }},
	} {
		if err := within(ctx, limit, question.ask); err != nil {
			return product{}, fmt.Errorf("the artifact did not answer when it was asked for %s: %w", question.what, err)
		}
	}
	// A plugin that died answers everything with nothing, and says so nowhere.
	var again string
	if err := within(ctx, limit, func() { again = a.BuilderId() }); err != nil || again != p.builderID {
		return product{}, fmt.Errorf("the plugin that made the artifact stopped answering while it was read")
	}
	if p.builderID == "" && p.id == "" && len(p.files) == 0 && images == nil && atlas == nil && generated == nil {
		return product{}, fmt.Errorf("the plugin that made the artifact stopped answering: it says nothing at all of the artifact")
	}
	p.files = localfiles.Unique(p.files)
	p.images = decodeImages(images)
	p.atlas = decodeStrings(stateAtlas, atlas)
	p.generated, _ = normalize(generated).(map[string]any)
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
