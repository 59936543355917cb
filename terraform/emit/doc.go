// Package emit writes what the registry knows of one version as a file for Terraform, to be
// committed: the version is pinned, and moves by a reviewed change of the file alone.
//
//	r, err := client.Resolve(ctx, "cargomedia/app", "production", question) // without a region
//	content, err := emit.File(r, emit.Options{Address: "https://registry.example.com"})
//	err = emit.Write("app.tf", content, false)
//
// In the default style the file has locals with the metadata and the map from region to AMI id, and a
// data block that reads each image back from EC2. The id of a region is then
//
//	local.app.ami_ids["eu-west-1"]
//
// The style tfvars gives one variable, which the module declares:
//
//	variable "app" { type = any }
//
// [Module] writes a version as a module for a module registry, and [Imports] writes import blocks for
// machines that run what is recorded.
//
// What is written depends on the resolution and the options alone: no time of day, no order of maps.
// Text of the registry gets into a file as a quoted string, as a JSON string, or as one escaped line
// of a comment, and in no other way.
//
// Every error is a [*registry.Error].
package emit
