// Command terraform-provider-aws stands in for hashicorp/aws where a generated file is planned
// without AWS: it has the data source aws_ami, the resource aws_instance, and of both what the tests use.
//
// It behaves as the major version in its own file name: terraform-provider-aws_v6.0.0 has the
// argument region, terraform-provider-aws_v5.0.0 takes the region of the provider alone.
//
// Which images there are it reads from the JSON file that STUB_AWS_IMAGES names:
//
//	{"eu-west-1": [{"id": "ami-0abc", "state": "available", "architecture": "x86_64", "owner_id": "123456789012"}]}
//
// or, without that, by DescribeImages from the EC2 endpoint that AWS_ENDPOINT_URL names, which must be
// one that does not verify signatures.
//
// The instances are in the directory that STUB_AWS_INSTANCES names, a file for each. An import finds what is there,
// so eu-west-1/i-0abc.json may be written by hand:
//
//	{"ami": "ami-0abc", "instance_type": "t3.micro", "availability_zone": "eu-west-1a", "tags": {"Name": "db"}}
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
)

func main() {
	executable, err := os.Executable()
	if err == nil {
		regional := !strings.Contains(filepath.Base(executable), "_v5.")
		err = providerserver.Serve(context.Background(), newProvider(regional), providerserver.ServeOpts{Address: "registry.terraform.io/hashicorp/aws"})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
