// PrefixStore
