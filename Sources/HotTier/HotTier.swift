// HotTier
