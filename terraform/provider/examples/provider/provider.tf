terraform {
  required_providers {
    almanac = {
      source = "almanac.example.com/cargomedia/almanac" # the host of the registry itself
    }
  }
}

# The token comes from the environment: ALMANAC_TOKEN.
provider "almanac" {
  address = "https://almanac.example.com"
}
