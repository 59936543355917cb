resource "almanac_channel" "production" {
  artifact = "cargomedia/app"
  name     = "production"
  version  = "1.4.0"
  reason   = "passed the tests on staging"
}
