// pfx_name_set, pfx_name_remove, pfx_names.

internal import CPrefixStore
internal import PrefixStore

/// See prefixstore.h.
@c @implementation
public func pfx_name_set(
    _ space: OpaquePointer!, _ name: UnsafePointer<CChar>!, _ tokens: UnsafePointer<Int32>!, _ count: Int
) -> Int32 {
    answer {
        try unsafe space.object(Space.self).setName(text(name, "name"), of: PrefixStoreC.tokens(tokens, count))
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_name_remove(_ store: OpaquePointer!, _ name: UnsafePointer<CChar>!) -> Int32 {
    answer { try unsafe store.object(Store.self).removeName(text(name, "name")) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_names(_ store: OpaquePointer!, _ text: UnsafeMutablePointer<CChar>!, _ capacity: Int) -> Int64 {
    answer {
        let names = try unsafe store.object(Store.self).names().map { JSONText($0).text }
        return try unsafe write(JSONText.list(names), text, capacity)
    }
}

extension JSONText {
    fileprivate init(_ name: NamedPrefix) {
        self.init()
        add("name", name.name)
        add("hash", name.hash.description)
        add("space", name.root.description)
        add("is_stored", json: name.isStored ? "true" : "false")
    }
}
