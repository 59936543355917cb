data "almanac_artifacts" "images" {
  namespace = "cargomedia"
  type      = "amazon.image"
}

output "names" {
  value = data.almanac_artifacts.images.names
}
