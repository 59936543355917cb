// Package tftest runs the real Terraform and the real OpenTofu for tests, without the network: with a configuration,
// a home and providers of their own. In the place of hashicorp/aws they have a stub, which is built from
// terraform/emit/testdata/stub-aws when it is needed first.
//
//	tftest.Each(t, func(t *testing.T, c tftest.Client) {
//		w := c.Workspace(t, 6)
//		w.SetImages(tftest.Images{"eu-west-1": {{ID: "ami-0abc"}}})
//		w.Write("app.tf", content)
//		w.MustRun("init")
//		out, err := w.Run("plan")
//	})
//
// Programs that are no tests use [Mirror] and [CLIConfig], or the command tfstub.
package tftest
