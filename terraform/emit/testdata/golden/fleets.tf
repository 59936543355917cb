# Import blocks for 4 EC2 instances, written by almanac. Once they are applied, they can be deleted; the resources stay.
#
# Needs Terraform >= 1.7, and eu-west-1 as the region of the provider.
# Next, terraform plan. Where it would change a machine, add what the machine has to the resource, until there is
# nothing to add, to change and to destroy. A new AMI changes nothing: it is for machines that are made anew.
#
# This file is for the first apply. After that do not write it again, but edit it: what was added here would be lost,
# and a machine that is no longer in it is destroyed. For machines that come later, write another file without
# for_each, or add them here.

locals {
  cargomedia_app_instances = {
    # launched from cargomedia/app 1.2.0 (eu-west-1), revoked as of 2026-04-02; production is 1.4.0
    "i-0a03" = {
      "ami"           = "ami-0e2"
      "instance_type" = "t3.large"
      "tags" = {
        "Name" = "1 batch $${x}"
        "role" = "web"
      }
    }
    # launched from cargomedia/app 1.3.0 (eu-west-1); production is 1.4.0
    "i-0a02" = {
      "ami"           = "ami-0e3"
      "instance_type" = "t3.micro"
      "tags" = {
        "Name" = "web"
        "role" = "web"
      }
    }
  }
}

import {
  for_each = local.cargomedia_app_instances
  to       = aws_instance.cargomedia_app[each.key]
  id       = each.key
}

resource "aws_instance" "cargomedia_app" {
  for_each = local.cargomedia_app_instances

  ami           = each.value.ami
  instance_type = each.value.instance_type
  tags          = each.value.tags

  lifecycle {
    ignore_changes = [ami]
  }
}

locals {
  other_app_instances = {
    # launched from other/app 1.1.0 (eu-west-1); no version is production
    "i-0a04" = {
      "ami"           = "ami-0d1"
      "instance_type" = "m6g.large"
      "tags"          = null
    }
  }
}

import {
  for_each = local.other_app_instances
  to       = aws_instance.other_app[each.key]
  id       = each.key
}

resource "aws_instance" "other_app" {
  for_each = local.other_app_instances

  ami           = each.value.ami
  instance_type = each.value.instance_type
  tags          = each.value.tags

  lifecycle {
    ignore_changes = [ami]
  }
}

locals {
  ami_0f0_instances = {
    # launched from ami-0f0 (eu-west-1), which the registry does not know
    "i-0a05" = {
      "ami"           = "ami-0f0"
      "instance_type" = "t3.micro"
      "tags" = {
        "Name" = "stray"
      }
    }
  }
}

import {
  for_each = local.ami_0f0_instances
  to       = aws_instance.ami_0f0[each.key]
  id       = each.key
}

resource "aws_instance" "ami_0f0" {
  for_each = local.ami_0f0_instances

  ami           = each.value.ami
  instance_type = each.value.instance_type
  tags          = each.value.tags

  lifecycle {
    ignore_changes = [ami]
  }
}
