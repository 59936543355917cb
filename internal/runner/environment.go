package runner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// environment is what the command gets: what the runner has, what Almanac says of the run, and what Atlas said of a build.
func (a *attempt) environment(app application) []string {
	run, id := a.run, strconv.FormatInt(a.run.ID, 10)
	values := [][2]string{
		{"ALMANAC_ADDR", a.Address},
		{"ALMANAC_TOKEN", a.Token},
		{"ALMANAC_FINGERPRINT", run.Fingerprint},
		{"ALMANAC_RUN", id},
		{"ALMANAC_TARGET", string(run.Target)},
		{"ALMANAC_APPLICATION", string(run.Application)},
		{"ALMANAC_APPLICATION_VERSION", run.From.Version},
		{"ALMANAC_APPLICATION_DIR", app.dir},
		{"ATLAS_ADDRESS", a.Address},
		{"ATLAS_TOKEN", a.Token},
		{"ATLAS_BUILD_ID", id},
		{"ATLAS_BUILD_NUMBER", id},
	}
	values = append(values, atlasNames("ATLAS_BUILD_", run.Target)...)
	values = append(values, atlasNames("ATLAS_APPLICATION_", run.Application)...)
	values = append(values, [2]string{"ATLAS_APPLICATION_VERSION", strconv.FormatInt(run.From.Number, 10)})
	for _, prefix := range []string{"ATLAS_BUILD_GITHUB_", "ATLAS_APPLICATION_GITHUB_"} {
		values = append(values,
			[2]string{prefix + "BRANCH", app.build.Provenance["git_ref"]}, [2]string{prefix + "COMMIT_SHA", app.build.Provenance["git_commit"]})
	}
	env := slices.DeleteFunc(slices.Clone(a.Environ), aboutAnotherBuild)
	for _, v := range values {
		if v[1] != "" {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

func atlasNames(prefix string, name registry.ArtifactName) [][2]string {
	return [][2]string{{prefix + "NAME", name.Name()}, {prefix + "USERNAME", name.Namespace()}, {prefix + "SLUG", string(name)}}
}

// aboutAnotherBuild says whether a variable, NAME=value, would say something of another build than the run's. The id of a
// Packer run would be taken for the fingerprint where a template has none.
func aboutAnotherBuild(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == "PACKER_RUN_UUID" || name == "ATLAS_COMPILE_ID" || name == "ALMANAC_TOKEN" || name == "ATLAS_TOKEN" ||
		strings.HasPrefix(name, "ATLAS_BUILD_") || strings.HasPrefix(name, "ATLAS_APPLICATION_")
}
