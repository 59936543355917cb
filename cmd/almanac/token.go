package main

import (
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token and print its secret."`
	List   tokenListCmd   `cmd:"" help:"List tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token at once."`
}

type tokenCreateCmd struct {
	Name    string   `arg:"" help:"Who or what will use it, such as ci."`
	Role    string   `placeholder:"ROLE" complete:"read,publish,promote,admin" help:"read, publish, promote or admin; each may do what the ones before it may. Required."`
	Scope   []string `sep:"none" placeholder:"SCOPE" help:"What it is good for: '*', 'NAMESPACE/*' or NAMESPACE/NAME. Can be repeated. Required."`
	Expires string   `placeholder:"WHEN" help:"When it ends: 90d, 2026-07-01, or 2026-07-01T12:00:00Z. Default: never."`
}

func (c *tokenCreateCmd) Help() string {
	return `The secret goes to stdout, alone, and is shown this one time. It needs the role admin for all that the new token covers.

Example:

    ALMANAC_TOKEN=$(almanac token create ci --role publish --scope 'cargomedia/*' --expires 90d)`
}

func (c *tokenCreateCmd) Run(a *app) error {
	req, err := c.request(time.Now())
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	token, err := client.CreateToken(a.ctx, req)
	if err != nil {
		return hinted(err, "almanac token revoke "+shellWord(c.Name)+", or another name", registry.Conflict)
	}
	if a.json {
		return writeJSON(a.stdout, token)
	}
	a.note("Token %q (id %s) may %s in %s%s.", token.Name, token.ID, token.Role, scopeList(token.Scopes), expiryText(token.ExpiresAt))
	a.note("This is its secret. It is not kept and cannot be shown again:")
	a.printf("%s\n", clean(token.Secret))
	return nil
}

func (c *tokenCreateCmd) request(now time.Time) (registry.TokenRequest, error) {
	var p problems
	req := registry.TokenRequest{Name: c.Name, Role: c.Role, Scopes: c.Scope}
	if c.Role == "" {
		p.add("--role", "is missing; use read, publish, promote or admin")
	} else {
		_, err := registry.ParseRole(c.Role)
		p.check("--role", err)
	}
	if len(c.Scope) == 0 {
		p.add("--scope", "is missing; give '*', 'NAMESPACE/*' or NAMESPACE/NAME")
	}
	for _, scope := range c.Scope {
		_, err := registry.ParseScope(scope)
		p.check("--scope", err)
	}
	if c.Expires != "" {
		at, err := parseWhen(c.Expires, now)
		p.check("--expires", err)
		req.ExpiresAt = &at
	}
	return req, p.err("token create")
}

type tokenListCmd struct {
	All bool `help:"Also tokens that have expired or were revoked."`
}

func (c *tokenListCmd) Help() string {
	return `It lists the tokens in force. It needs the role admin.

Example:

    almanac token list --all`
}

func (c *tokenListCmd) Run(a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, err := client.Tokens(a.ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	tokens := []registry.Token{}
	for _, token := range all {
		if c.All || token.ValidAt(now) {
			tokens = append(tokens, token)
		}
	}
	return a.show(map[string][]registry.Token{"tokens": tokens}, func() {
		t := newTable("NAME", "ID", "ROLE", "SCOPES", "STATE", "EXPIRES", "CREATED", "BY")
		for _, token := range tokens {
			t.add(token.Name, token.ID, string(token.Role), scopeList(token.Scopes), tokenState(token, now), optionalTime(token.ExpiresAt), shortTime(token.CreatedAt), token.CreatedBy)
		}
		a.printTable(t, "")
	})
}

func tokenState(t registry.Token, now time.Time) cell {
	switch {
	case t.ValidAt(now):
		return cell{"in force", green}
	case t.RevokedAt != nil && !t.RevokedAt.After(now):
		return cell{"revoked " + shortTime(*t.RevokedAt), red}
	default:
		return cell{"expired", yellow}
	}
}

type tokenRevokeCmd struct {
	Token string `arg:"" name:"name-or-id" help:"Name or id of the token."`
}

func (c *tokenRevokeCmd) Help() string {
	return `It needs the role admin for all that the token covers.

Example:

    almanac token revoke ci`
}

func (c *tokenRevokeCmd) Run(a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	token, err := client.RevokeToken(a.ctx, c.Token)
	if err != nil {
		return hinted(err, "almanac token list", registry.NotFound)
	}
	return a.show(token, func() { a.printf("Token %q (id %s) is not valid any more.\n", token.Name, clean(token.ID)) })
}

func scopeList(scopes []registry.Scope) string {
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

func expiryText(at *time.Time) string {
	if at == nil {
		return ""
	}
	return " until " + shortTime(*at)
}

// shellWord quotes text so that a hint can be copied into a shell.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
