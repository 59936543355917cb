package vagrant

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// tokenJSON is what a login returns. The registry's tokens are made by its administrators, so it is the one that
// was given for a password.
type tokenJSON struct {
	Description string `json:"description"`
	Token       string `json:"token"`
	// TokenHash is an id that tells nothing of the token.
	TokenHash string    `json:"token_hash"`
	CreatedAt time.Time `json:"created_at"`
}

// credentials are in JSON, or in a form as the clients of 2015 send them. Second factors are not asked for.
type credentials struct{ password, description string }

func (d *door) login(w http.ResponseWriter, r *http.Request) error {
	body, err := d.host.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	c, err := parseCredentials(r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	p, err := d.svc.Authenticate(r.Context(), c.password)
	switch {
	case registry.KindOf(err) == registry.Unauthorized:
		return registry.Errorf(registry.Unauthorized, "the password must be a token of this registry that is in force; its administrator makes one, and any name will do")
	case err != nil:
		return err
	}
	if c.description == "" {
		c.description = p.Name
	}
	return d.host.SendJSON(w, r, http.StatusCreated, tokenJSON{Description: c.description, Token: c.password, TokenHash: p.TokenID, CreatedAt: time.Now().UTC()})
}

func parseCredentials(contentType string, body []byte) (credentials, error) {
	if media, _, _ := mime.ParseMediaType(contentType); media == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return credentials{}, registry.Errorf(registry.Invalid, "the body is not a form")
		}
		return credentials{form.Get("user[password]"), form.Get("user[description]")}, nil
	}
	var sent struct {
		User  struct{ Password string }
		Token struct{ Description string }
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return credentials{}, registry.Errorf(registry.Invalid, `the body must be such as {"user":{"login":"NAME","password":"TOKEN"}}`)
	}
	return credentials{sent.User.Password, sent.Token.Description}, nil
}

type whoamiJSON struct {
	User struct {
		Username string `json:"username"`
	} `json:"user"`
}

func (d *door) whoami(w http.ResponseWriter, r *http.Request) error {
	var j whoamiJSON
	j.User.Username = registry.PrincipalFrom(r.Context()).Name
	return d.host.SendJSON(w, r, http.StatusOK, j)
}

// logout changes nothing: a token serves others than the one who logs out, too. The client forgets it.
func (d *door) logout(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type userJSON struct {
	Username        string    `json:"username"`
	AvatarURL       string    `json:"avatar_url"`
	ProfileHTML     *string   `json:"profile_html"`
	ProfileMarkdown *string   `json:"profile_markdown"`
	Boxes           []boxJSON `json:"boxes"`
}

// user lists the boxes of a namespace. vagrant cloud makes those anew that are not in the list, so those who may
// publish there see all artifacts: any of them can get a box.
func (d *door) user(w http.ResponseWriter, r *http.Request) error {
	user := userJSON{Username: r.PathValue("user"), Boxes: []boxJSON{}}
	unknown := registry.Errorf(registry.NotFound, "user %s does not exist, or you may not see it", clip(user.Username))
	if _, err := registry.ParseNamespace(user.Username); err != nil {
		return unknown
	}
	publisher := mayPublishIn(r.Context(), user.Username)
	filter := registry.ArtifactFilter{Namespace: user.Username, Limit: pageOfArtifacts}
	for {
		page, err := d.svc.Artifacts(r.Context(), filter)
		if err != nil {
			return err
		}
		for _, a := range page.Artifacts {
			if !publisher && len(a.Types) > 0 && !slices.Contains(a.Types, registry.VagrantBox) {
				continue
			}
			newest, err := d.newest(r, a)
			if err != nil {
				return err
			}
			user.Boxes = append(user.Boxes, d.listedBox(r, a, newest))
		}
		if filter.Cursor = page.Next; filter.Cursor == "" {
			break
		}
	}
	if len(user.Boxes) == 0 && !publisher {
		return unknown
	}
	return d.host.SendJSON(w, r, http.StatusOK, user)
}

// pageOfArtifacts is the most that the service lists at once.
const pageOfArtifacts = 500
