// pfx_info: a store from outside.

internal import CPrefixStore
internal import PrefixStore

/// See prefixstore.h.
@c @implementation
public func pfx_info(
    _ folder: UnsafePointer<CChar>!, _ text: UnsafeMutablePointer<CChar>!, _ capacity: Int
) -> Int64 {
    answer {
        let inspector = try StoreInspector(at: unsafe PrefixStoreC.text(folder, "folder"))
        defer { inspector.close() }
        return try unsafe write(JSONText(inspector.info()).text, text, capacity)
    }
}

extension JSONText {
    fileprivate init(_ info: StoreInfo) {
        self.init()
        add("path", info.path)
        add("format", info.formatVersion)
        add("used_bytes", info.usedBytes.value)
        add("quota_bytes", info.quotaBytes.value)
        add("file_bytes", info.fileBytes.value)
        add("free_bytes", info.freeBytes.value)
        add("raw_bytes", info.rawBytes.value)
        add("encoded_bytes", info.encodedBytes.value)
        add("pages", info.pages)
        add("tokens", info.tokens)
        add("spaces", info.spaces)
        add("side_states", info.sideStates)
        add("pinned_pages", info.pinnedPages)
        add("evicted_pages", info.evictedPages)
        add("quarantined_pages", info.quarantinedPages)
        // This process itself is one of them while it looks.
        let others = info.openers.filter { $0.isAlive && $0.role == .engine }
        add("open_in", json: JSONText.list(others.map { "\($0.processID)" }))
    }
}
