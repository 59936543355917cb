# One build, two artifacts: an AMI in three regions, and a Vagrant box. `make quickstart` runs this file as it
# stands, against a local stand-in for EC2; with AWS credentials it builds in your account.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0"
    }
    almanac = {
      source  = "github.com/cargomedia/almanac"
      version = ">= 0.1.0"
    }
  }
}

variable "output" {
  type        = string
  description = "Directory for the box and the Terraform file."
  default     = "."
}

locals {
  # An AMI's name is unique within an account and region, also when two builds begin in the same second.
  name = "app-${formatdate("YYYYMMDDhhmmss", timestamp())}-${substr(uuidv4(), 0, 8)}"
}

source "amazon-ebs" "app" {
  region        = "us-east-1"
  ami_regions   = ["eu-west-1", "ap-southeast-2"]
  instance_type = "t3.micro"
  ami_name      = local.name

  # A real build provisions over SSH; this one makes a copy of its base image.
  communicator = "none"

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["136693071363"] # Debian
    most_recent = true
  }

  tags = {
    app = "app"
  }
}

# Stands for virtualbox-iso, qemu or any other source that ends in a .box file.
source "null" "box" {
  communicator = "none"
}

build {
  sources = ["source.amazon-ebs.app"]

  post-processor "almanac" {
    artifact = "cargomedia/app"
    channels = ["staging"]
    metadata = {
      os = "debian-12"
    }

    terraform {
      path = "${var.output}/app.tf"
    }
  }
}

build {
  sources = ["source.null.box"]

  post-processors {
    post-processor "shell-local" {
      inline = ["sh ${path.root}/make-box.sh ${var.output}"]
    }
    post-processor "artifice" {
      files = ["${var.output}/app.box"]
    }
    post-processor "almanac" {
      artifact = "cargomedia/app-box"
      channels = ["staging"]
    }
  }
}
