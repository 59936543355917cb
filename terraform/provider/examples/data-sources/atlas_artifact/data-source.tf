terraform {
  required_providers {
    atlas = {
      source = "almanac.example.com/cargomedia/almanac"
    }
  }
}

data "atlas_artifact" "app" {
  name    = "cargomedia/app"
  type    = "amazon.image"
  version = "7"
}

resource "aws_instance" "app" {
  ami           = data.atlas_artifact.app.metadata_full.region-eu-west-1
  instance_type = "t3.micro"
}
