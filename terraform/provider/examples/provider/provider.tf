terraform {
  required_providers {
    almanac = {
      source  = "almanac.example.com/cargomedia/almanac"
      version = "~> 1.0"
    }
  }
}

# The token comes from the environment: ALMANAC_TOKEN.
provider "almanac" {
  address = "https://almanac.example.com"
}
