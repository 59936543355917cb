# In the provider's own data source ami_ids is simpler. The function is for metadata_full from elsewhere.
data "terraform_remote_state" "app" {
  backend = "http"
  config = {
    address = "https://almanac.example.com/tf/state/cargomedia/app/amazon.image/1.4.0"
  }
}

output "ami" {
  value = provider::almanac::ami(data.terraform_remote_state.app.outputs.metadata_full, "eu-west-1")
}
