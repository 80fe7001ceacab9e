// ColdTier
