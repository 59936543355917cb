data "almanac_artifact" "app" {
  name    = "cargomedia/app"
  type    = "amazon.image"
  version = "1.4.0" # or channel = "production"
  region  = "eu-west-1"

  require_regions = ["eu-west-1", "us-east-1"]
}

resource "aws_instance" "app" {
  ami           = data.almanac_artifact.app.ami_id
  instance_type = "t3.micro"
}

# One request has all regions.
output "ami_ids" {
  value = data.almanac_artifact.app.ami_ids
}
