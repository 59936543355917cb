package client

import (
	"context"
	"net/http"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Access is [registry.Service.Access]: what the client's token may do with an artifact, which need
// not exist.
func (c *Client) Access(ctx context.Context, artifact string) (registry.Access, error) {
	p, err := artifactPath("artifacts", artifact, "access")
	if err != nil {
		return registry.Access{}, err
	}
	return call(ctx, c, get(p, nil), func(a registry.Access) error {
		if a.Artifact == "" {
			return errOtherShape
		}
		return same("artifact", string(a.Artifact), artifact)
	})
}

// Artifacts is [registry.Service.Artifacts]: one page of what the client may read.
func (c *Client) Artifacts(ctx context.Context, f registry.ArtifactFilter) (registry.ArtifactPage, error) {
	q := params("namespace", f.Namespace, "type", f.Type, "q", f.Text, "cursor", f.Cursor, "limit", number(f.Limit))
	return call(ctx, c, get("/v1/artifacts", q), func(p registry.ArtifactPage) error { return shaped(p.Artifacts != nil) })
}

// Artifact is [registry.Service.Artifact].
func (c *Client) Artifact(ctx context.Context, artifact string) (registry.Artifact, error) {
	p, err := artifactPath("artifacts", artifact)
	if err != nil {
		return registry.Artifact{}, err
	}
	return call(ctx, c, get(p, nil), isArtifact(artifact))
}

// isArtifact returns what holds an artifact against the name that was asked for.
func isArtifact(name string) func(registry.Artifact) error {
	return func(a registry.Artifact) error {
		if a.Name == "" {
			return errOtherShape
		}
		return same("artifact", string(a.Name), name)
	}
}

// PutArtifact is [registry.Service.PutArtifact].
func (c *Client) PutArtifact(ctx context.Context, artifact string, settings registry.ArtifactSettings) (registry.Artifact, error) {
	p, err := artifactPath("artifacts", artifact)
	if err != nil {
		return registry.Artifact{}, err
	}
	return call(ctx, c, request{method: http.MethodPut, path: p, body: settings}, isArtifact(artifact))
}

// DeleteArtifact is [registry.Service.DeleteArtifact]. When the answer to a first try was lost, an
// artifact that is gone at the second counts as deleted.
func (c *Client) DeleteArtifact(ctx context.Context, artifact string) error {
	p, err := artifactPath("artifacts", artifact)
	if err != nil {
		return err
	}
	t, err := c.callEmpty(ctx, request{method: http.MethodDelete, path: p})
	if registry.KindOf(err) == registry.NotFound && t.unsure {
		return nil
	}
	return err
}

// Versions is [registry.Service.Versions]: one page, the highest number first.
func (c *Client) Versions(ctx context.Context, artifact string, f registry.VersionFilter) (registry.VersionPage, error) {
	p, err := artifactPath("artifacts", artifact, "versions")
	if err != nil {
		return registry.VersionPage{}, err
	}
	q := params("type", f.Type, "status", f.Status, "cursor", f.Cursor, "limit", number(f.Limit))
	if f.Offered {
		q.Set("offered", "true")
	}
	return call(ctx, c, get(p, q), func(p registry.VersionPage) error { return shaped(p.Versions != nil) })
}

// Version is [registry.Service.Version].
func (c *Client) Version(ctx context.Context, artifact, ref string) (registry.Version, error) {
	p, err := versionPath(artifact, ref)
	if err != nil {
		return registry.Version{}, err
	}
	return call(ctx, c, get(p, nil), isVersion(artifact))
}

// isVersion returns what holds a version against the artifact that was asked about.
func isVersion(artifact string) func(registry.Version) error {
	return func(v registry.Version) error {
		if v.Number < 1 || v.Artifact == "" {
			return errOtherShape
		}
		return same("artifact", string(v.Artifact), artifact)
	}
}

// Publish is [registry.Service.Publish]. The bytes of the build's files are uploaded before. A receipt
// is that of this publication, or there is an error.
func (c *Client) Publish(ctx context.Context, artifact string, pub registry.Publication) (registry.Receipt, error) {
	p, err := artifactPath("artifacts", artifact, "publish")
	if err != nil {
		return registry.Receipt{}, err
	}
	return call(ctx, c, request{method: http.MethodPost, path: p, body: pub}, func(r registry.Receipt) error {
		if r.Number < 1 || r.Artifact == "" {
			return errOtherShape
		}
		return same("artifact", string(r.Artifact), artifact, "fingerprint", r.Fingerprint, pub.Fingerprint,
			"component", r.Component, pub.Build.Component)
	})
}

// Verify is [registry.Service.Verify].
func (c *Client) Verify(ctx context.Context, artifact, ref string, req registry.VerifyRequest) (registry.Version, error) {
	p, err := versionPath(artifact, ref, "verify")
	if err != nil {
		return registry.Version{}, err
	}
	return call(ctx, c, request{method: http.MethodPost, path: p, body: req}, isVersion(artifact))
}

// Revoke is [registry.Service.Revoke].
func (c *Client) Revoke(ctx context.Context, artifact, ref string, req registry.RevokeRequest) (registry.Version, error) {
	p, err := versionPath(artifact, ref, "revoke")
	if err != nil {
		return registry.Version{}, err
	}
	return call(ctx, c, request{method: http.MethodPost, path: p, body: req}, isVersion(artifact))
}

// Restore is [registry.Service.Restore].
func (c *Client) Restore(ctx context.Context, artifact, ref string) (registry.Version, error) {
	p, err := versionPath(artifact, ref, "restore")
	if err != nil {
		return registry.Version{}, err
	}
	return call(ctx, c, request{method: http.MethodPost, path: p}, isVersion(artifact))
}

// Channel is [registry.Service.Channel].
func (c *Client) Channel(ctx context.Context, artifact, channel string) (registry.ChannelHistory, error) {
	p, err := channelPath(artifact, channel)
	if err != nil {
		return registry.ChannelHistory{}, err
	}
	return call(ctx, c, get(p, nil), isChannel)
}

func channelPath(artifact, channel string) (string, error) {
	if !isSegment(channel) {
		if err := registry.CheckChannelName(channel); err != nil {
			return "", registry.BadField("channel", err)
		}
	}
	return artifactPath("artifacts", artifact, "channels", channel)
}

func isChannel(h registry.ChannelHistory) error { return shaped(h.Number > 0) }

// SetChannel is [registry.Service.SetChannel]. A rollback is not repeated when the registry may have
// carried it out already: the second would take back the first.
func (c *Client) SetChannel(ctx context.Context, artifact, channel string, change registry.ChannelChange) (registry.ChannelHistory, error) {
	p, err := channelPath(artifact, channel)
	if err != nil {
		return registry.ChannelHistory{}, err
	}
	return call(ctx, c, request{method: http.MethodPut, path: p, body: change, once: change.Rollback}, isChannel)
}

// DeleteChannel is [registry.Service.DeleteChannel]. When the answer to a first try was lost, a channel that is gone
// at the second counts as deleted.
func (c *Client) DeleteChannel(ctx context.Context, artifact, channel string) error {
	p, err := channelPath(artifact, channel)
	if err != nil {
		return err
	}
	t, err := c.callEmpty(ctx, request{method: http.MethodDelete, path: p})
	if registry.KindOf(err) == registry.NotFound && t.unsure {
		return nil
	}
	return err
}

// Resolve is [registry.Service.Resolve].
func (c *Client) Resolve(ctx context.Context, artifact, ref string, question registry.Question) (registry.Resolution, error) {
	if !isSegment(strings.TrimSpace(ref)) {
		if _, err := registry.ParseRef(ref); err != nil {
			return registry.Resolution{}, registry.BadField("ref", err)
		}
	}
	p, err := artifactPath("resolve", artifact, ref)
	if err != nil {
		return registry.Resolution{}, err
	}
	q := params("type", question.Type, "region", question.Region, "arch", question.Architecture,
		"provider", question.Provider, "component", question.Component)
	for key, value := range question.Metadata {
		q.Set("metadata."+key, value)
	}
	return call(ctx, c, get(p, q), func(r registry.Resolution) error {
		if r.Number < 1 || r.Artifact == "" {
			return errOtherShape
		}
		return same("artifact", string(r.Artifact), artifact)
	})
}

// Search is [registry.Service.Search].
func (c *Client) Search(ctx context.Context, artifact string, req registry.SearchRequest) ([]registry.Resolution, error) {
	p, err := artifactPath("artifacts", artifact, "search")
	if err != nil {
		return nil, err
	}
	type matches struct {
		Matches []registry.Resolution `json:"matches"`
	}
	found, err := call(ctx, c, request{method: http.MethodPost, path: p, body: req}, func(m matches) error {
		if m.Matches == nil {
			return errOtherShape
		}
		for _, r := range m.Matches {
			if err := same("artifact", string(r.Artifact), artifact); err != nil {
				return err
			}
		}
		return nil
	})
	return found.Matches, err
}

// GrantDownload is [registry.Service.GrantDownload], with the whole address of the file.
func (c *Client) GrantDownload(ctx context.Context, artifact string, req registry.DownloadRequest) (registry.Download, error) {
	p, err := artifactPath("artifacts", artifact, "downloads")
	if err != nil {
		return registry.Download{}, err
	}
	d, err := call(ctx, c, request{method: http.MethodPost, path: p, body: req}, func(d registry.Download) error {
		if !strings.HasPrefix(d.Path, "/") {
			return errOtherShape
		}
		return same("artifact", string(d.Artifact), artifact)
	})
	if err != nil {
		return registry.Download{}, err
	}
	d.URL = c.address + d.Path
	return d, nil
}

// ImageUses is [registry.Service.ImageUses].
func (c *Client) ImageUses(ctx context.Context, provider, region, id string) ([]registry.ImageUse, error) {
	if region == "" {
		return nil, &registry.Error{Kind: registry.Invalid, Msg: "the image cannot be looked up", Fields: []registry.FieldError{
			{Field: "region", Message: "is empty; images are looked up by provider, region and id"}}}
	}
	p, err := path("images", provider, region)
	if err != nil {
		return nil, err
	}
	idPath, err := path(strings.Split(id, "/")...)
	if err != nil {
		// An id such as https://account/disk.vhd: its empty segments would be cleaned away.
		if idPath, err = path(id); err != nil {
			return nil, err
		}
	}
	type answer struct {
		Uses []registry.ImageUse `json:"uses"`
	}
	a, err := call(ctx, c, get(p+strings.TrimPrefix(idPath, "/v1"), nil), func(a answer) error { return shaped(a.Uses != nil) })
	return a.Uses, err
}

// Events is [registry.Service.Events].
func (c *Client) Events(ctx context.Context, after int64, limit int) (registry.EventPage, error) {
	return call(ctx, c, get("/v1/events", params("after", number(after), "limit", number(limit))),
		func(p registry.EventPage) error { return shaped(p.Events != nil && p.Last >= after) })
}

// CreateToken is [registry.Service.CreateToken]. It is not repeated when the registry may have made
// the token already: its secret is told once.
func (c *Client) CreateToken(ctx context.Context, req registry.TokenRequest) (registry.NewToken, error) {
	return call(ctx, c, request{method: http.MethodPost, path: "/v1/tokens", body: req, once: true},
		func(t registry.NewToken) error { return shaped(t.Secret != "") })
}

// Tokens is [registry.Service.Tokens].
func (c *Client) Tokens(ctx context.Context) ([]registry.Token, error) {
	type answer struct {
		Tokens []registry.Token `json:"tokens"`
	}
	a, err := call(ctx, c, get("/v1/tokens", nil), func(a answer) error { return shaped(a.Tokens != nil) })
	return a.Tokens, err
}

// RevokeToken is [registry.Service.RevokeToken].
func (c *Client) RevokeToken(ctx context.Context, idOrName string) (registry.Token, error) {
	p, err := path("tokens", idOrName)
	if err != nil {
		return registry.Token{}, err
	}
	return call(ctx, c, request{method: http.MethodDelete, path: p}, func(t registry.Token) error { return shaped(t.ID != "") })
}
