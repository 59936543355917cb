package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// search is the search for AMIs in one region.
type search struct {
	*Verifier
	region   string
	client   *ec2.Client
	started  time.Time
	deadline time.Time // until when pending images are waited for
	// open are the AMIs of which the outcome is not known yet, and how they were seen last.
	open      map[string]*sighting
	concluded map[string]registry.Verification
}

// sighting is how an AMI was seen that is looked for again.
type sighting struct {
	pending bool
	// foreign is an AMI that was there, but not among the account's own. A new one of our own may be
	// seen so, when EC2 shows it between the two questions, so it is asked for once more.
	foreign bool
	// missingSince is the zero time when it was there.
	missingSince time.Time
}

func (v *Verifier) newSearch(region string, ids []string, deadline time.Time) *search {
	s := &search{
		Verifier: v, region: region, started: time.Now(), deadline: deadline,
		client:    ec2.NewFromConfig(v.config, func(o *ec2.Options) { o.Region = region }),
		open:      make(map[string]*sighting, len(ids)),
		concluded: make(map[string]registry.Verification, len(ids)),
	}
	for _, id := range ids {
		s.open[id] = &sighting{}
	}
	return s
}

// run looks until every AMI is concluded. When waiting ends, it looks no more and leaves open what is.
func (s *search) run(ctx, waiting context.Context) error {
	pause := s.options.PollMin
	for looked := false; ; {
		err := s.look(ctx)
		switch {
		case err == nil:
			looked = true
		case !looked || !mayPass(err) || !time.Now().Before(s.deadline):
			return err
		default:
			s.log("%s could not be asked, and will be again: %v", s.region, err)
		}
		if len(s.open) == 0 {
			return nil
		}
		timer := time.NewTimer(s.pause(pause))
		select {
		case <-waiting.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		pause = min(2*pause, s.options.PollMax)
	}
}

// pause is how long to wait before the next look: shorter than usual when something is to be decided
// before.
func (s *search) pause(usual time.Duration) time.Duration {
	now, pause := time.Now(), usual
	for _, seen := range s.open {
		switch {
		case seen.foreign:
			pause = min(pause, s.options.PollMin)
		case seen.pending:
			pause = min(pause, s.deadline.Sub(now))
		case !seen.missingSince.IsZero():
			pause = min(pause, seen.missingSince.Add(s.options.Grace).Sub(now))
		}
	}
	return max(pause, time.Millisecond)
}

// look asks once for everything that is open: among the account's own images, and where it is not
// there, among all.
func (s *search) look(ctx context.Context) error {
	ids := slices.Sorted(maps.Keys(s.open))
	own, err := s.describe(ctx, ids, "self")
	if err != nil {
		return err
	}
	others := map[string]types.Image{}
	if rest := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, ok := own[id]; return ok }); len(rest) > 0 {
		if others, err = s.describe(ctx, rest); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if image, ok := own[id]; ok {
			s.sawOwn(id, image)
		} else if image, ok := others[id]; ok {
			s.sawForeign(id, image)
		} else {
			s.missed(id)
		}
	}
	return nil
}

func (s *search) sawOwn(id string, image types.Image) {
	now := time.Now()
	status, reason := judge(image)
	if status == registry.ImagePending && now.Before(s.deadline) {
		if !s.open[id].pending {
			s.log("AMI %s in %s is pending; waiting up to %s for it", id, s.region, s.options.Timeout)
		}
		s.open[id] = &sighting{pending: true}
		return
	}
	switch status {
	case registry.ImagePending:
		if s.options.Timeout > 0 {
			reason += fmt.Sprintf(" after %s of waiting", s.options.Timeout)
		}
	case registry.ImageAvailable:
		if s.open[id].pending {
			s.log("AMI %s in %s is available after %s", id, s.region, now.Sub(s.started).Round(time.Second))
		}
	}
	s.conclude(id, status, reason, attributes(image))
}

func (s *search) sawForeign(id string, image types.Image) {
	if !s.open[id].foreign && s.options.Grace > 0 {
		s.open[id] = &sighting{foreign: true}
		return
	}
	owner := "another account"
	if image.OwnerId != nil {
		owner = "account " + *image.OwnerId
	}
	s.conclude(id, registry.ImageFailed, "is owned by "+owner+", not by this one", attributes(image))
}

func (s *search) missed(id string) {
	now := time.Now()
	seen := s.open[id]
	if seen.missingSince.IsZero() {
		seen = &sighting{missingSince: now}
		s.open[id] = seen
	}
	if now.Sub(seen.missingSince) >= s.options.Grace {
		s.conclude(id, registry.ImageFailed, "is missing: it does not exist there, or this account may not see it", nil)
	}
}

func (s *search) conclude(id string, status registry.ImageStatus, reason string, attributes registry.Metadata) {
	delete(s.open, id)
	if reason != "" {
		reason = clean(fmt.Sprintf("AMI %s in %s %s", id, s.region, reason), maxReason)
	}
	s.concluded[id] = registry.Verification{Status: status, At: time.Now().UTC(), Reason: reason, Attributes: attributes}
}
