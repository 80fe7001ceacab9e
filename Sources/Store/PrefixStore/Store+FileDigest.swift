// Digests of weight files, for identities.

internal import ColdTier

extension Store {
    /// SHA-256 of a file's contents, such as a weights digest; equal to what `sha256sum` prints.
    ///
    /// The store's folder remembers it under the file's device, inode, size and times, so that the next process need
    /// not read gigabytes. A file that changed within the last two seconds is not remembered.
    ///
    /// - Throws: `.invalidOption` when there is no regular file at `path`; `.system` when it cannot be read; `.closed`,
    ///   `.forked`.
    /// - Complexity: reads the file when it is not remembered, at about 1 GB/s.
    public func digest(ofFile path: String) throws(StoreError) -> Digest {
        try checkOpen()
        return try FileDigests(folder: self.path).digest(ofFile: path)
    }

    /// As the method of a store, with nothing remembered.
    public static func digest(ofFile path: String) throws(StoreError) -> Digest {
        try FileDigests.digest(ofFile: path)
    }
}
