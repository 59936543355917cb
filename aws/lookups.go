package aws

import (
	"context"
	"sync"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// imageLookup finds the builds that have an image.
type imageLookup interface {
	ImageUses(ctx context.Context, provider, region, id string) ([]registry.ImageUse, error)
}

// maxLookups is how many questions to the registry are under way at once.
const maxLookups = 8

// concurrently calls ask for each item, a few at a time. After an error no more are begun; it is the first one.
func concurrently[T any](ctx context.Context, items []T, ask func(ctx context.Context, item T) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	slots := make(chan struct{}, maxLookups)
	var group sync.WaitGroup
	for _, item := range items {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			if err := ask(ctx, item); err != nil {
				stop(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// place is an AMI.
type place struct{ region, id string }

// imageUses asks once for each AMI which builds have it. An AMI that no artifact has is not in the answer.
func imageUses(ctx context.Context, lookup imageLookup, places []place) (map[place][]registry.ImageUse, error) {
	var lock sync.Mutex
	uses := map[place][]registry.ImageUse{}
	err := concurrently(ctx, places, func(ctx context.Context, p place) error {
		found, err := lookup.ImageUses(ctx, Provider, p.region, p.id)
		if registry.KindOf(err) == registry.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		uses[p] = found
		return nil
	})
	return uses, err
}
