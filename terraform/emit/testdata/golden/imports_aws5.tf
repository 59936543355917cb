# Import blocks for 5 EC2 instances, written by almanac. Once they are applied, this file can be deleted.
#
# Needs Terraform >= 1.5 and hashicorp/aws 5, with these aliases in the module's own configuration:
#
# provider "aws" {
#   alias  = "eu_west_1"
#   region = "eu-west-1"
# }
#
# provider "aws" {
#   alias  = "us_east_1"
#   region = "us-east-1"
# }
#
# Next, let Terraform write the code of the resources, and read it before it is applied:
#
#   terraform plan -generate-config-out=generated.tf
#
# A new AMI replaces an aws_instance; one that must stay gets lifecycle { ignore_changes = [ami] } there.
#
# This file is for the first apply. For machines that come later, write another one.

# launched from other/app 1.1.0 (eu-west-1); no version is production
import {
  to       = aws_instance.i_0a04
  id       = "i-0a04"
  provider = aws.eu_west_1
}

# launched from cargomedia/app 1.2.0 (eu-west-1), revoked as of 2026-04-02; production is 1.4.0
import {
  to       = aws_instance._1_batch___x__i_0a03
  id       = "i-0a03"
  provider = aws.eu_west_1
}

# launched from ami-0f0 (eu-west-1), which the registry does not know
import {
  to       = aws_instance.stray_i_0a05
  id       = "i-0a05"
  provider = aws.eu_west_1
}

# launched from cargomedia/app 1.3.0 (eu-west-1); production is 1.4.0
import {
  to       = aws_instance.web_i_0a02
  id       = "i-0a02"
  provider = aws.eu_west_1
}

# launched from cargomedia/app 1.4.0 (us-east-1); production is 1.4.0
import {
  to       = aws_instance.web_i_0a01
  id       = "i-0a01"
  provider = aws.us_east_1
}
