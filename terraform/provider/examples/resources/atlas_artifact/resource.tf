terraform {
  required_providers {
    atlas = {
      source = "almanac.example.com/cargomedia/almanac"
    }
  }
}

resource "atlas_artifact" "app" {
  name = "cargomedia/app"
  type = "amazon.image"
}

resource "aws_instance" "app" {
  ami           = atlas_artifact.app.metadata_full.region-eu-west-1
  instance_type = "t3.micro"
}

# On the way to data "almanac_artifact", in the place of the resource. Without the line provider = atlas, the local name in
# required_providers has to be almanac.
#
# removed {
#   from = atlas_artifact.app
#   lifecycle {
#     destroy = false
#   }
# }
#
# data "almanac_artifact" "app" {
#   provider = atlas
#   name     = "cargomedia/app"
#   type     = "amazon.image"
#   version  = "1.4.0"
# }
