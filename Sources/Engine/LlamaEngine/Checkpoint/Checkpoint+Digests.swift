// What identifies a checkpoint: digests over file contents, never over paths or times.

public import KVFormat

extension Checkpoint {
    /// SHA-256 over the contents of `config.json`, the shard index if there is one, and all weight files.
    ///
    /// The files are hashed in sorted order, each framed by its name and length. The result is kept in the user's cache
    /// folder, under device, inode, size and times of the files. So the next start of an engine does not have to read
    /// the weights for it.
    /// - Throws: `.system` when libcrypto fails. A cache that cannot be read or written costs only time.
    /// - Complexity: reads all weights, at about 2 GB/s, when the cache does not know their digest.
    public func weightsDigest() throws(EngineError) -> Digest {
        try weightsDigest(rememberedIn: DigestCache.ofUser(), now: DigestCache.now())
    }

    /// SHA-256 over `tokenizer.json`, framed like the weights. A checkpoint without tokenizer has a digest of
    /// its own.
    ///
    /// - Throws: `.system` when the file cannot be read or libcrypto fails.
    public func tokenizerDigest() throws(EngineError) -> Digest {
        var stream = DigestStream(tag: "prefixstore tokenizer 1")
        do {
            stream.append(try MappedFile(path: folder + "/" + Tokenizer.fileName), named: Tokenizer.fileName)
        } catch .missingFile {
            stream.append(absent: Tokenizer.fileName)
        }
        return try stream.finish()
    }

    /// The weights digest with the cache and the time (nanoseconds since 1970) given.
    func weightsDigest(rememberedIn cache: DigestCache?, now: Int64) throws(EngineError) -> Digest {
        let files = identifyingFiles
        let key = try DigestCache.key(of: files)
        if let digest = cache?.digest(for: key) { return digest }
        var stream = DigestStream(tag: "prefixstore weights 1")
        for (name, file) in files { stream.append(file, named: name) }
        let digest = try stream.finish()
        if files.allSatisfy({ DigestCache.mayRemember($0.file, now: now) }) { cache?.remember(digest, for: key) }
        return digest
    }

    /// The files whose contents determine what the model computes, sorted by name.
    private var identifyingFiles: [(name: String, file: MappedFile)] {
        var files = [(name: ModelConfig.fileName, file: configFile)]
        if let index = weights.indexFile { files.append((WeightFiles.index, index)) }
        for (name, file) in zip(weights.names, weights.files) { files.append((name, file)) }
        return files.sorted { $0.name < $1.name }
    }
}
