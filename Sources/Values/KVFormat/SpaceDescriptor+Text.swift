// An identity's fields in words, for people and for JSON.

extension SpaceDescriptor.Field: CustomStringConvertible {
    /// The field's name for people, such as `page size`.
    public var description: String {
        switch self {
        case .weights: "weights"
        case .layout: "layout"
        case .pageSize: "page size"
        case .positions: "positions"
        case .tokenizer: "tokenizer"
        case .engine: "engine"
        case .engineFormat: "engine format"
        case .shard: "shard"
        case .adapter: "adapter"
        case .salt: "salt"
        }
    }
}

extension SpaceDescriptor {
    /// All fields for people, by name.
    var texts: [String: String] {
        Field.allCases.reduce(into: [:]) { texts, field in texts[field.description] = text(field) }
    }
}
