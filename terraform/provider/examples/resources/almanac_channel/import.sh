# namespace/name/channel
terraform import almanac_channel.production cargomedia/app/production
