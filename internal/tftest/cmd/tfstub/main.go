// Command tfstub prepares Terraform for planning without AWS and without a registry of providers: it
// builds the stub of hashicorp/aws, and writes a configuration of the Terraform CLI that installs it.
//
//	TF_CLI_CONFIG_FILE=$(go run ./internal/tftest/cmd/tfstub DIR)
//
// With AWS_ENDPOINT_URL set to a stand-in for EC2, the stub finds the images that are there.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tfstub:", err)
		os.Exit(1)
	}
}

// run writes DIR/terraform.rc and prints its path.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: tfstub DIR (where terraform.rc is written)")
	}
	mirror, err := tftest.Mirror(ctx)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(filepath.Join(args[0], "terraform.rc"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(tftest.CLIConfig(mirror)), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, path)
	return err
}
