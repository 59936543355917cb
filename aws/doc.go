// Package aws is what talks to AWS. A [Verifier] reads AMIs back from EC2, so that the registry knows
// of each image whether it can be used, and what EC2 says of it:
//
//	v, err := aws.NewVerifier(ctx, aws.Options{Timeout: 10 * time.Minute})
//	…
//	images, err := v.Verify(ctx, build.Images)
//
// Credentials, profiles, regions and endpoints come from where every AWS client has them: the
// environment (AWS_PROFILE, AWS_ENDPOINT_URL_EC2 …), the shared config files, the instance's role. The
// only permission that is needed is ec2:DescribeImages, and ec2:DescribeInstances for instances.
//
// A [Reader] lists what there is already. [PlanAdoption] makes AMIs versions of an artifact, and [Match] joins
// instances, which [ReadInstances] reads from a file, too, with what is recorded of their AMIs:
//
//	r, err := aws.NewReader(ctx, "almanac/1.0.0")
//	…
//	instances, err := r.Instances(ctx, []string{"eu-west-1", "us-east-1"})
//	…
//	machines, err := aws.Match(ctx, client, instances, "production")
//
// # Attributes
//
// An AMI that EC2 shows, in whatever state, gets these attributes, as far as EC2 gives a value:
//
//	name                 name of the AMI
//	architecture         x86_64, arm64, i386, x86_64_mac, arm64_mac
//	root_device_type     ebs, instance-store
//	root_device_name     such as /dev/xvda
//	virtualization_type  hvm, paravirtual
//	ena_support          true, false
//	boot_mode            legacy-bios, uefi, uefi-preferred
//	owner_id             account id of the owner
//	creation_date        RFC 3339, UTC
//	deprecation_time     RFC 3339, UTC
//	snapshot_ids         ids of the snapshots of its devices, sorted, with commas between them
//	platform_details     billing platform, such as Linux/UNIX
//	imds_support         v2.0 where instances must use IMDSv2
//	tpm_support          v2.0 where it is made for NitroTPM
package aws
