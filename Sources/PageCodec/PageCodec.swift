// PageCodec
