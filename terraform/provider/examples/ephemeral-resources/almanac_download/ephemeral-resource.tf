ephemeral "almanac_download" "site" {
  name    = "cargomedia/site"
  type    = "archive"
  version = "2.0.1"
}

# An ephemeral value goes where Terraform keeps nothing, such as a connection or a write-only argument.
resource "aws_ssm_parameter" "site_url" {
  name             = "/site/download"
  type             = "SecureString"
  value_wo         = ephemeral.almanac_download.site.url
  value_wo_version = 1
}
