// What hosts that share a remote do with prompts.

public import PrefixStore

extension Store {
    /// Stores prompts on disk, and waits until the remote has them.
    ///
    /// - Returns: false when the remote did not have them in time.
    public func storeGenerated(_ prompts: [[TokenID]], by model: GeneratedModel) throws -> Bool {
        let space = try space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try flush()
        return try flushRemote(within: .seconds(30))
    }

    /// Loads prompts; returns the tokens that came, by tier, and how many of their bytes are wrong.
    public func loadGenerated(
        _ prompts: [[TokenID]], by model: GeneratedModel
    ) throws -> (tokens: TokensByTier, wrongBytes: Int) {
        let space = try space(model.identity)
        var (all, wrong) = (TokensByTier(), 0)
        for prompt in prompts {
            let read = try space.loadGenerated(prompt, by: model)
            wrong += read.wrongBytes
            all = all + read.loaded.tokensByTier
        }
        return (all, wrong)
    }
}
