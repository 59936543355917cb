package almanac

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// secretValues are the values of generated_data that must not be recorded even where a template asks
// for them.
var secretValues = []string{"Password", "WinRMPassword", "SSHPrivateKey", "SSHPrivateKeyFile"}

// secretOf returns the name of a secret of the build that a text holds, or "".
func secretOf(generated map[string]any, text string) string {
	for _, name := range secretValues {
		if secret, ok := generated[name].(string); ok && holdsSecret(text, strings.TrimSpace(secret)) {
			return name
		}
	}
	return ""
}

// sensitive returns the name of a sensitive variable or setting whose value is in text, or "". Packer tells
// plugins which variables are sensitive for JSON templates only.
func (p *prepared) sensitive(text string) string {
	if holdsSecret(text, p.Token) {
		return "token"
	}
	for _, name := range p.PackerSensitiveVars {
		if holdsSecret(text, p.PackerUserVars[name]) {
			return name
		}
	}
	return ""
}

// holdsSecret says whether a secret is all of a text or, unless it is so short that it is found by
// chance, a part of it.
func holdsSecret(text, secret string) bool {
	const shortest = 6
	return secret != "" && (text == secret || len(secret) >= shortest && strings.Contains(text, secret))
}

// secrets are the texts that neither a publish file nor what is shown may hold, by what they are called.
// Short ones are found by chance: a build's password can be a word that is in every path, such as vagrant.
func (r *recording) secrets() map[string]string {
	const shortest, shortestOfBuild = 6, 12
	found := map[string]string{}
	add := func(name, secret string, shortest int) {
		if secret = strings.TrimSpace(secret); len(secret) >= shortest {
			found[name] = secret
		}
	}
	for _, name := range secretValues {
		secret, _ := r.product.generated[name].(string)
		add("the build's "+name, secret, shortestOfBuild)
	}
	for _, name := range r.config.PackerSensitiveVars {
		add(fmt.Sprintf("the value of the sensitive variable %q", name), r.config.PackerUserVars[name], shortest)
	}
	add(tokenSecret, r.config.Token, 1)
	return found
}

const tokenSecret = "the token"

// masked is a text without secrets.
func (r *recording) masked(text string) string {
	for _, secret := range r.secrets() {
		text = strings.ReplaceAll(text, secret, "<sensitive>")
	}
	return withoutSecrets(text)
}

// leak names a secret in a publish file and where it is, or is "". What is screened is text that could
// not be left out: metadata and provenance hold no secrets by then. A name that the template gives, and
// that was accepted, counts as a name although it is the value of a sensitive variable, too.
func (r *recording) leak(file []byte) string {
	var content any
	if err := json.Unmarshal(file, &content); err != nil {
		return "what cannot be read: " + err.Error()
	}
	secrets, names := r.secrets(), r.config.names()
	var search func(at string, value any) string
	search = func(at string, value any) string {
		switch value := value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				if found := cmp.Or(search(at+" (name)", key), search(strings.TrimPrefix(at+"."+key, "."), value[key])); found != "" {
					return found
				}
			}
		case []any:
			for i, v := range value {
				if found := search(fmt.Sprintf("%s[%d]", at, i), v); found != "" {
					return found
				}
			}
		case string:
			for name, secret := range secrets {
				if strings.Contains(value, secret) && (name == tokenSecret || !slices.Contains(names, value)) {
					return fmt.Sprintf("%s in %s", name, at)
				}
			}
		}
		return ""
	}
	return search("", content)
}

// known guards the SDK's filter, which reads its secrets without a lock: what another goroutine writes to the
// log while one is set would end the plugin, and cost the build.
var known struct {
	sync.RWMutex
	secrets map[string]bool
}

// keepSecret lets withoutSecrets take a secret out of every text from now on.
func keepSecret(secret string) {
	known.Lock()
	defer known.Unlock()
	if secret == "" || known.secrets[secret] {
		return
	}
	if known.secrets == nil {
		known.secrets = map[string]bool{}
	}
	known.secrets[secret] = true
	packersdk.LogSecretFilter.Set(secret)
}

func withoutSecrets(text string) string {
	known.RLock()
	defer known.RUnlock()
	return packersdk.LogSecretFilter.FilterString(text)
}
