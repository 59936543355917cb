data "almanac_versions" "app" {
  name    = "cargomedia/app"
  offered = true
  limit   = 10
}

output "newest" {
  value = data.almanac_versions.app.versions[0].version
}
